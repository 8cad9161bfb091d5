"""Voxel and pixel sizes that the user enters because no file states them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.data.place import unit_of_length
from napari_quac.gui.fields import NumberField
from napari_quac.gui.input_layers import transform_of
from napari_quac.gui.section import fields_row
from napari_quac.gui.widgets import narrow

TYPED_SIZE = "napari_quac_voxel_size_typed"
"""Key of the metadata that marks a layer whose voxel size the user has entered."""


def lacks_unit(layer: Any) -> bool:
    """Return True if the voxel size is unknown, or was entered by the user."""
    return TYPED_SIZE in layer.metadata or all(unit_of_length(str(u)) is None for u in layer.units)


def voxel_nm_of(layer: Any, n_axes: int) -> tuple[float, ...] | None:
    """Return the voxel size that the user has entered, in nm along the last axes; else None."""
    if TYPED_SIZE not in layer.metadata:
        return None
    return transform_of(layer).voxel_size()[-n_axes:]


def set_voxel_size(layer: Any, voxel_nm: Sequence[float], companions: Sequence[Any] = ()) -> None:
    """Scale the world of a layer without a unit, so that its voxels have a size in nm.

    Parameters
    ----------
    layer : napari layer
        Gives the world; see :func:`lacks_unit`.
    voxel_nm : sequence of float
        Voxel size along its last axes.
    companions : sequence of napari layers
        Layers in the same world, such as points; those with a unit stay.
    """
    n_axes = len(voxel_nm)
    factors = np.asarray(voxel_nm, float) / transform_of(layer).voxel_size()[-n_axes:]
    for member in (layer, *companions):
        if not lacks_unit(member):
            continue
        by = np.ones(member.ndim)
        by[-n_axes:] = factors[-member.ndim :]
        if _is_plain(member):
            member.scale, member.translate = member.scale * by, member.translate * by
        else:
            member.affine = np.diag([*by, 1.0]) @ member.affine.affine_matrix
        member.units = (*member.units[:-n_axes], *("nm",) * min(n_axes, member.ndim))
        member.metadata = {**member.metadata, TYPED_SIZE: True}


def _is_plain(layer: Any) -> bool:
    """Return True for a layer with neither rotation nor shear nor affine transform."""
    unit, affine = np.eye(layer.ndim), layer.affine.affine_matrix
    return bool(
        np.allclose(layer.rotate, unit)
        and np.allclose(layer.shear, 0)
        and np.allclose(affine, np.eye(len(affine)))
    )


class VoxelSizeRow(QWidget):
    """Fields for the size of a voxel or pixel in nm; a question mark stands for unknown.

    Parameters
    ----------
    name : str
        The fields are named ``<name>_0`` to ``<name>_2``, along z, y and x.
    text : str
        Caption of the row.
    """

    edited = Signal()
    """The user has entered a size along one axis."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__()
        self.fields = [NumberField(f"{name}_{number}", 0, 1e6, 0) for number in range(3)]
        narrow(*self.fields)
        for field in self.fields:
            field.setSpecialValueText("?")
            field.setKeyboardTracking(False)
            field.valueChanged.connect(self.edited)
        self.setLayout(fields_row(text, *self.fields))

    @property
    def sizes(self) -> tuple[float, ...]:
        """Size along each axis that is offered; 0 where it is unknown."""
        return tuple(field.value() for field in self.fields if not field.isHidden())

    @property
    def known_sizes(self) -> tuple[float, ...] | None:
        """The sizes if all of them are known, else None."""
        return self.sizes if all(self.sizes) else None

    def show_sizes(self, n_fields: int, sizes: Sequence[float] | None) -> None:
        """Offer the last fields, with sizes that are known."""
        first = 3 - n_fields
        for number, field in enumerate(self.fields):
            field.setVisible(number >= first)
            with signals_blocked(field):
                field.setValue(sizes[number - first] if sizes and number >= first else 0)
