"""Forms for frozen dataclasses: methods, masking, recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from magicgui.widgets import create_widget
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QLineEdit, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_quac.errors import QuacError
from napari_quac.explain.parameter import Parameter, parameters_of
from napari_quac.gui.control_names import name_after, prepare
from napari_quac.gui.message import Message
from napari_quac.gui.section import WrappedCaption
from napari_quac.gui.slots import slots
from napari_quac.gui.text import plain
from napari_quac.gui.widgets import button, check_box, column, grid

T = TypeVar("T")
LOWEST, HIGHEST = -(2**31), 2**31 - 1


class FormField:
    """A parameter as a widget of magicgui; an optional parameter has a check box.

    Parameters
    ----------
    parameter : Parameter
    value : object
        Initial value.
    name : str
        Object name of the control.
    """

    def __init__(self, parameter: Parameter, value: Any, name: str) -> None:
        self.parameter = parameter
        options = _options_of(parameter)
        hint: Any = Literal[parameter.options] if parameter.options else parameter.kind
        initial = {} if value is None else {"value": value}
        self._widget: Any = create_widget(
            annotation=Annotated[hint, options] if options else hint, name=parameter.name, **initial
        )
        self.native: QWidget = self._widget.native
        words = parameter.name.replace("_", " ")
        prepare(self.native, name, parameter.help)
        name_after(words, self.native)
        if isinstance(self.native, QAbstractSpinBox):
            self.native.setKeyboardTracking(False)  # not at each digit
        elif parameter.kind is Path:
            for part in self.native.findChildren(QLineEdit):
                prepare(part, f"{name}_path", parameter.help)
                name_after(words, part)
            for part in self.native.findChildren(QPushButton):
                prepare(part, f"{name}_choose", f"Choose the {words}.")
        self.changed = self._widget.changed
        # a spin box rounds: a value that the user did not edit keeps its exact number
        self._exact, self._rounded = value, self._widget.value
        self.switch: QCheckBox | None = None
        if parameter.is_optional:
            self.switch = check_box("", f"{name}_enabled", "Set this optional parameter.")
            name_after(f"Set {words}", self.switch)
            self.switch.setChecked(value is not None)
            self.native.setEnabled(value is not None)
            self.switch.toggled.connect(self.native.setEnabled)

    @property
    def value(self) -> Any:
        """The value of the field; None if it is switched off."""
        if self.switch is not None and not self.switch.isChecked():
            return None
        value = self._widget.value
        return self._exact if self._exact is not None and value == self._rounded else value

    def show(self, value: Any) -> None:
        """Show a value without a signal."""
        if self.switch is not None:
            with signals_blocked(self.switch):
                self.switch.setChecked(value is not None)
            self.native.setEnabled(value is not None)
        if value is not None and value != self._widget.value:
            with self._widget.changed.blocked():
                self._widget.value = value
        if value is not None:
            self._exact, self._rounded = value, self._widget.value


@slots
class Form(QWidget, Generic[T]):
    """A form that edits a frozen dataclass; each change creates a new instance.

    The annotations (``Annotated[int, {"min": 2, "max": 500}]``, ``Literal``, ``bool``, ``Path``,
    optional fields) and the docstring of the class describe the fields. An invalid value is
    reported in red and not used.

    Parameters
    ----------
    cls : type
        The dataclass; all its fields have defaults.
    name : str
        Controls are named ``<name>_<field>``, the button ``<name>_defaults``, and the error
        message ``<name>_problem``.
    value : object, optional
        Initial instance; by default that of the class without arguments.
    default : object, optional
        Instance to which *Restore defaults* returns; by default that of the class without
        arguments.
    only : sequence of str, optional
        The fields to show; the others keep their values.
    """

    changed = Signal(object)
    """The user changed a value, and the class accepted it."""

    def __init__(
        self,
        cls: type[T],
        name: str,
        value: T | None = None,
        default: T | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.setObjectName(name)
        self._default: T = cls() if default is None else default
        self._value: T = self._default if value is None else value
        self.fields: dict[str, FormField] = {}
        cells = grid(2, 6, 4)
        parameters = [
            parameter
            for parameter in parameters_of(cls)
            if parameter.kind is not None and (only is None or parameter.name in only)
        ]
        for row, parameter in enumerate(parameters):
            initial = getattr(self._value, parameter.name)
            field = FormField(parameter, initial, f"{name}_{parameter.name}")
            if parameter.kind is not bool:  # a check box has its own label
                label = WrappedCaption(parameter.name.replace("_", " "))
                label.setToolTip(plain(parameter.help))
                cells.addWidget(label, row, 0)
            if field.switch is not None:
                cells.addWidget(field.switch, row, 1)
                field.switch.toggled.connect(self._on_changed)
            cells.addWidget(field.native, row, 2)
            field.changed.connect(self._on_changed)
            self.fields[parameter.name] = field
        tooltip = "Restore the default values of all fields."
        self.defaults_button = button(
            "Restore defaults", f"{name}_defaults", tooltip, self._on_defaults
        )
        cells.addWidget(self.defaults_button, len(self.fields), 2, Qt.AlignmentFlag.AlignLeft)
        self.problem = Message(f"{name}_problem")
        self.problem.hide()
        layout = column(cells, self.problem, spacing=4, parent=self)
        layout.setContentsMargins(20, 0, 0, 4)
        self._show_defaults()

    @property
    def value(self) -> T:
        """The last instance that the class accepted."""
        return self._value

    def set_value(self, value: T) -> None:
        """Show a value without a signal."""
        self._value = value
        self.problem.hide()
        for name, field in self.fields.items():
            field.show(getattr(value, name))
        self._show_defaults()

    def changes(self) -> dict[str, Any]:
        """Return the values that differ from their defaults."""
        return {
            name: getattr(self._value, name)
            for name in self.fields
            if getattr(self._value, name) != getattr(self._default, name)
        }

    def _on_changed(self) -> None:
        try:
            values = {name: field.value for name, field in self.fields.items()}
            for name, field in self.fields.items():
                field.parameter.check(values[name])
            value: T = replace(self._value, **values)  # type: ignore[type-var]
        except (QuacError, TypeError, ValueError) as error:
            self.problem.show_message(str(error), "bad")
            return
        self.problem.hide()
        if value != self._value:
            self._value = value
            self._show_defaults()
            self.changed.emit(value)

    def _on_defaults(self) -> None:
        value = self._default
        changed = value != self._value
        self.set_value(value)
        if changed:
            self.changed.emit(value)

    def _show_defaults(self) -> None:
        self.defaults_button.setVisible(self._value != self._default)


def _options_of(parameter: Parameter) -> dict[str, Any]:
    """Return the options of a number for magicgui, whose default limit is 999."""
    if parameter.kind not in (int, float) or parameter.options:
        return {}
    low, high = parameter.low, parameter.high
    is_short = low is not None and high is not None and high - low <= 1
    usual_step: float = 1 if parameter.kind is int else 0.01 if is_short else 0.5
    return {
        "min": LOWEST if low is None else low,
        "max": HIGHEST if high is None else high,
        "step": usual_step if parameter.step == 1 else parameter.step,
    }
