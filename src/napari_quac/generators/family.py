"""The contract of a generator family: recipes that recognize their own files and load them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from typing import Self

    import torch

    from napari_quac.networks.checkpoint import Inspection
    from napari_quac.networks.generator import Generator


class GeneratorFamily:
    """Base class of all recipes; each subclass is one generator family.

    The class describes the family and recognizes its files. An instance is a frozen dataclass that
    says how one generator is loaded, so that it can be compared, written into a plan and sent to
    another process. The fields of the dataclass become rows in the dock and options of
    ``--generator-setting``.

    A recipe loads quickly: its module imports no torch, because all families are listed in the
    window and on the command line. Networks are imported in :meth:`load`.

    Attributes
    ----------
    id : str
        Name of the family in plans, in stores and on the command line; also the name of its entry
        point.
    title : str
        Name of the family in the window.
    summary : str
        One sentence for lists.
    outcome : str
        What images do whose explanation succeeds, for counts such as "12 switch".
    explicit : tuple of str
        Fields that plans and stores state even with their defaults.
    default_methods : tuple of str
        Methods where the user chooses none; empty for those of the settings.
    source_basis : {"prediction", "label"}
        Class to start from where the user does not choose: the predicted one, or the label where
        it names the folder of the images.
    training : str
        ``"module:Class"`` of the settings of its training; empty for a family without one.
    files : tuple of str
        Fields that name files or folders; the form does not show them.
    hidden : tuple of str
        Further fields for which the dock has other controls.
    former_fields : mapping of str to str
        Earlier names of fields, also of nested ones, which are still read in plans.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    outcome: ClassVar[str] = "switch"
    explicit: ClassVar[tuple[str, ...]] = ()
    default_methods: ClassVar[tuple[str, ...]] = ()
    source_basis: ClassVar[Literal["prediction", "label"]] = "prediction"
    training: ClassVar[str] = ""
    files: ClassVar[tuple[str, ...]] = ("path",)
    hidden: ClassVar[tuple[str, ...]] = ()
    former_fields: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def from_file(cls, inspection: Inspection) -> Self | None:
        """Return the recipe for a file or folder, or None if it is of another family.

        Parameters
        ----------
        inspection : Inspection
            Format, tensor shapes and metadata. ``inspection.kind`` is ``"folder"`` for a folder.

        Raises
        ------
        CheckpointError
            If the file is of this family but cannot be used.
        """
        del inspection
        return None

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> Self | None:
        """Return the recipe for words of the command line that are no file, or None.

        Parameters
        ----------
        texts : sequence of str
            All words after ``--generator``, such as ``SOURCE:TARGET=FILE``.
        """
        del texts
        return None

    def describe_file(self, inspection: Inspection) -> Inspection:
        """Return the inspection with the facts and findings that the card shows.

        Raises
        ------
        CheckpointError
            If the file is damaged or incomplete.
        """
        return inspection

    def load(self, device: str | torch.device = "auto") -> Generator:
        """Load the generator.

        Parameters
        ----------
        device : str or torch.device
            Such as "cpu", "cuda:0", or "auto" for the fastest available.

        Raises
        ------
        QuacError
            If a file cannot be used.
        """
        raise NotImplementedError

    def paths(self) -> tuple[Path, ...]:
        """Return the files and folders of this recipe, the main one first."""
        values = (getattr(self, name) for name in self.files if hasattr(self, name))
        return tuple(Path(value) for value in values if value is not None)


def required_fields(family: type[Any]) -> tuple[str, ...]:
    """Return the fields of a recipe that have no default, such as its file."""
    from dataclasses import MISSING

    return tuple(
        entry.name
        for entry in fields(family)
        if entry.default is MISSING and entry.default_factory is MISSING
    )
