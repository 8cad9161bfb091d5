"""The classifier under study and the generator: files, findings, names, range, device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSettings, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.generators.opening import (
    RecognizedNetwork,
    Role,
    recipe_without_file,
    recognize_network,
)
from napari_quac.gui.card import Card
from napari_quac.gui.network_size import NetworkSize
from napari_quac.gui.panels.activation_row import ActivationRow
from napari_quac.gui.panels.generator_settings import GeneratorSettings, generator_names
from napari_quac.gui.panels.translation_rows import TranslationRows
from napari_quac.gui.path_field import PathField
from napari_quac.gui.section import Section, caption, labelled_row
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure, failure
from napari_quac.live.results import Results

CLASSIFIER_FILES = "Networks (*.pt *.pth *.ts *.safetensors *.ckpt *.pt2 *.jit);;All files (*)"


class NetworksPanel(Section):
    """Chooses networks; a file that does not work leaves what worked in place."""

    def __init__(
        self, choices: Choices, results: Results, controller: Controller, settings: QSettings
    ) -> None:
        super().__init__("Networks", "networks")
        self._choices, self._results, self._controller = choices, results, controller
        self._settings = settings
        self._offers: dict[str, RecognizedNetwork] = {}
        self._size_on_card: tuple[int, ...] | None = None
        self._looked_into: Path | None = None
        self.fields = {
            "classifier": PathField(
                "Classifier", "classifier", "a file of weights", CLASSIFIER_FILES
            ),
            "generator": PathField(
                "Generator", "generator", "a file, or a folder of images", CLASSIFIER_FILES, True
            ),
        }
        self.cards = {role: Card(role) for role in self.fields}
        for role, field in self.fields.items():
            self.body_layout.addWidget(field)
            self.body_layout.addWidget(self.cards[role])
            field.picked.connect(lambda path, role=role: self.open_path(Path(path), role))
            self.cards[role].accepted.connect(lambda role=role: self._on_accepted(role))
            self.cards[role].declined.connect(lambda role=role: self._on_declined(role))
            if role == "classifier":
                self.size_row = NetworkSize()
                self.size_row.picked.connect(self._on_size_given)
                self.size_row.hide()
                self.body_layout.addWidget(self.size_row)
        self.translations = TranslationRows()
        self.translations.recipe_changed.connect(self._on_translations)
        self.body_layout.addWidget(self.translations)
        self.settings_rows = GeneratorSettings()
        self.settings_rows.recipe_changed.connect(self._on_translations)
        self.body_layout.addWidget(self.settings_rows)
        self.fields["generator"].offer(generator_names, self._on_named)
        self.activation = ActivationRow(choices, results, controller)
        self.body_layout.addWidget(self.activation)
        self._build_device_row()
        self._build_details()
        results.events.loaded_classifier.connect(self._show_classifier)
        results.events.prediction.connect(self._show_adopted_size)
        results.events.loaded_generator.connect(self._show_generator)
        controller.failed.connect(self._on_failed)
        controller.run("devices", "looking for devices", _devices, self._show_devices)
        self._show_classifier()
        self._show_generator()

    def open_path(
        self, path: Path, role: str | None = None, size: Any = None, pools: Any = None
    ) -> None:
        """Look into a file, and use it as what it is; ask if it is not what was expected."""
        path = path.expanduser()
        slot = f"look into {role or 'file'}"
        target = role or "classifier"
        meant: Role | None = "generator" if role == "generator" else None
        self.fields[target].show_path(path)
        if target == "classifier":
            if path != self._looked_into:
                # what was asked about another file is not asked any more
                self.size_row.show_size(None, None)
                self.size_row.setVisible(self.details_button.isChecked())
            self._looked_into = path

        def use_or_offer(network: RecognizedNetwork) -> None:
            if role is not None and network.role != role:
                self._offer_other_role(path, role, network)
            else:
                self.use_network(network)

        def failed(error: BaseException) -> None:
            fault = failure(slot, f"looking into '{path.name}'", error)
            self._show_problem(target, fault.sentence)
            self._controller.failed.emit(fault)

        self._controller.run(
            slot,
            f"looking into '{path.name}'",
            lambda: recognize_network(path, size, pools, meant),
            use_or_offer,
            failed,
        )

    def _on_named(self, name: str) -> None:
        def failed(error: BaseException) -> None:
            fault = failure("look into generator", f"making '{name}'", error)
            self._show_problem("generator", fault.sentence)
            self._controller.failed.emit(fault)

        def use(recipe: Any) -> None:
            self.use_network(RecognizedNetwork("generator", recipe))
            self.fields["generator"].show_path(None, name)

        self._controller.run(
            "look into generator",
            f"making '{name}'",
            lambda: recipe_without_file(name),
            use,
            failed,
        )

    def use_recipes(self, classifier: Any, generator: Any) -> None:
        """Take recipes that are trusted, such as those of the example."""
        self._choices.classifier = classifier
        self._choices.generator = generator

    def use_network(self, network: RecognizedNetwork) -> None:
        """Use a recognized network, after consent if it brings a program."""
        role = network.role
        trusted = self._settings.value(f"trusted/{network.program_hash}", False, bool)
        if network.is_program and not trusted:
            self._offers[role] = network
            self.cards[role].ask(
                f"'{_name_of(network.recipe)}' holds a program beside its weights. Use it only if "
                "you trust where it comes from.",
                "Trust and use it",
                "Do not use it",
            )
            return
        self._offers.pop(role, None)
        path = _path_of(network.recipe)
        self.fields[role].show_path(path)
        if getattr(self._choices, role) == network.recipe:
            self._show_card(role)  # the same file again: nothing to load
        setattr(self._choices, role, network.recipe)

    def _offer_other_role(self, path: Path, role: str, network: RecognizedNetwork) -> None:
        content = network.findings[0].rstrip(".") if network.findings else f"a {network.role}"
        kind = "folder" if path.is_dir() else "file"
        self._offers[role] = network
        self.cards[role].ask(
            f"'{path.name}' is not a {role}. This {kind} holds a {network.role}"
            + (f" ({content})" if network.findings else "")
            + f". Use it as {network.role}?",
            f"Use as {network.role}",
            "No",
        )

    def _on_accepted(self, role: str) -> None:
        network = self._offers.pop(role, None)
        if network is None:
            return
        if network.is_program:
            self._settings.setValue(f"trusted/{network.program_hash}", True)
        if network.role != role:
            self.fields[role].show_path(_path_of(getattr(self._choices, role)))
            self._show_card(role)
        self.use_network(network)

    def _on_declined(self, role: str) -> None:
        self._offers.pop(role, None)
        self.fields[role].show_path(_path_of(getattr(self._choices, role)))
        self._show_card(role)

    def _on_size_given(self, size: Any, pools: Any) -> None:
        if self._looked_into is not None:
            self.open_path(self._looked_into, "classifier", size, pools)

    def _on_failed(self, fault: Failure) -> None:
        role = {"loaded_classifier": "classifier", "loaded_generator": "generator"}.get(fault.slot)
        if role is not None:
            self._show_problem(role, fault.sentence)
            self._show_device()

    def _show_problem(self, role: str, sentence: str) -> None:
        used = _path_of(getattr(self._choices, role))
        there = getattr(self._results, f"loaded_{role}") is not None
        still = f"Still in use: {used.name}" if used is not None and there else ""
        self.cards[role].show_problem(sentence, still)
        if role == "classifier" and "image size" in sentence:
            self.size_row.show()
        self.set_open(True)

    def _show_card(self, role: str) -> None:
        if role == "classifier":
            self._show_classifier()
        else:
            self._show_generator()

    def _show_adopted_size(self) -> None:
        """Renew the card when the first image decided upon the size."""
        classifier = self._results.loaded_classifier
        if classifier is not None and classifier.image_size != self._size_on_card:
            self._show_classifier()

    def _show_classifier(self) -> None:
        classifier = self._results.loaded_classifier
        card = self.cards["classifier"]
        self._details_body.setEnabled(classifier is not None)
        self.size_row.setVisible(self.details_button.isChecked())
        self._show_summary()
        self._show_translations()
        if classifier is None:
            card.clear()
            return
        path = _path_of(self._choices.classifier)
        if path is not None:
            self.fields["classifier"].show_path(path)
        size = self._size_on_card = classifier.image_size
        self._looked_into = self._looked_into if path is None else path
        self.size_row.show_size(size, getattr(self._choices.classifier, "pools", None))
        pixels = classifier.description.get("Image size", "any size").partition(" (")[0]
        if size is None:
            pixels = "any size"
        channels = "1 channel" if classifier.channels == 1 else f"{classifier.channels} channels"
        kind = classifier.description.get("Kind", classifier.form)
        card.show_facts(
            f"✓ {kind} · {classifier.n_classes} classes · {pixels} · {channels}",
            classifier.description,
        )
        for widget, value in (
            (self.value_low, classifier.value_range.low),
            (self.value_high, classifier.value_range.high),
        ):
            with signals_blocked(widget):
                widget.setValue(value)
        with signals_blocked(self.class_names):
            self.class_names.setText(", ".join(classifier.class_names))
            self.class_names.setCursorPosition(0)

    def _show_generator(self) -> None:
        generator = self._results.loaded_generator
        card = self.cards["generator"]
        self._show_summary()
        self._show_style()
        self._show_translations()
        if generator is None:
            card.clear()
            return
        path = _path_of(self._choices.generator)
        if path is not None:
            self.fields["generator"].show_path(path)
        facts = generator.description
        parts = [facts.get("Kind", generator.name)]
        parts += [
            facts[key]
            for key in ("Style", "Translates", "Image size", "Class pairs")
            if key in facts
        ]
        if "Class pairs" in facts:
            parts[-1] += " class pairs"
        card.show_facts("✓ " + " · ".join(parts), facts)

    def _show_summary(self) -> None:
        parts = []
        if self._results.loaded_classifier is not None:
            parts.append(self._results.loaded_classifier.name or "classifier")
        if self._results.loaded_generator is not None:
            parts.append(self._results.loaded_generator.name)
        self.set_summary(" + ".join(parts))

    def _build_device_row(self) -> None:
        self.device_menu = QComboBox()
        self.device_menu.setObjectName("device_menu")
        self.device_menu.setToolTip("Where the networks run")
        self.device_menu.setMinimumContentsLength(8)
        self.device_menu.addItem("auto", "auto")
        self.device_menu.currentIndexChanged.connect(self._on_device_picked)
        self.details_button = QToolButton()
        self.details_button.setObjectName("network_details_button")
        self.details_button.setProperty("role", "link")
        self.details_button.setText("Details")
        self.details_button.setCheckable(True)
        self.details_button.setArrowType(Qt.ArrowType.RightArrow)
        self.details_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.details_button.setToolTip("Class names, value range, and all that was found out")
        self.details_button.toggled.connect(self._on_details)
        self.body_layout.addLayout(labelled_row("Device", self.device_menu, self.details_button))

    def _build_details(self) -> None:
        self._details_body = QWidget()
        layout = QVBoxLayout(self._details_body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self.class_names = QLineEdit()
        self.class_names.setObjectName("class_names")
        self.class_names.setToolTip("Names of the classes in the order of the outputs, by comma")
        self.class_names.editingFinished.connect(self._on_names_edited)
        layout.addLayout(labelled_row("Classes", self.class_names))
        self.value_low, self.value_high = QDoubleSpinBox(), QDoubleSpinBox()
        for widget, name in ((self.value_low, "value_low"), (self.value_high, "value_high")):
            widget.setObjectName(name)
            widget.setRange(-1e6, 1e6)
            widget.setDecimals(3)
            widget.setToolTip("What black and white are for the classifier; -1 and 1 in QuAC")
            widget.setKeyboardTracking(False)
            widget.editingFinished.connect(self._on_range_edited)
        row = QHBoxLayout()
        row.setSpacing(6)
        to = QLabel("to")
        to.setProperty("role", "muted")
        row.addWidget(caption("Values"))
        row.addWidget(self.value_low, 1)
        row.addWidget(to)
        row.addWidget(self.value_high, 1)
        layout.addLayout(row)
        self.style_menu = QComboBox()
        self.style_menu.setObjectName("style_menu")
        self.style_menu.addItem("latent: random styles", "latent")
        self.style_menu.addItem("reference: styles of images", "reference")
        self.style_menu.setToolTip(
            "Where a StarGAN takes its styles from; references are the images of the samples folder"
        )
        self.style_menu.currentIndexChanged.connect(self._on_style_picked)
        layout.addLayout(labelled_row("Style", self.style_menu))
        self.body_layout.addWidget(self._details_body)
        self._details_body.hide()

    def _on_details(self, unfolded: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow
        self.details_button.setArrowType(arrow)
        self._details_body.setVisible(unfolded)
        self.size_row.setVisible(unfolded)
        for card in self.cards.values():
            card.set_unfolded(unfolded)

    def _on_names_edited(self) -> None:
        recipe, classifier = self._choices.classifier, self._results.loaded_classifier
        names = tuple(name.strip() for name in self.class_names.text().split(",") if name.strip())
        if recipe is None or classifier is None or names == classifier.class_names:
            return
        self._choices.classifier = replace(recipe, class_names=names)

    def _on_range_edited(self) -> None:
        recipe, classifier = self._choices.classifier, self._results.loaded_classifier
        chosen = (self.value_low.value(), self.value_high.value())
        if recipe is None or classifier is None:
            return
        if chosen == (classifier.value_range.low, classifier.value_range.high):
            return
        self._choices.classifier = replace(recipe, value_range=chosen)

    def _on_style_picked(self, row: int) -> None:
        recipe = self._choices.generator
        style = self.style_menu.itemData(row)
        if recipe is None or getattr(recipe, "style", style) == style:
            return
        references = getattr(self._choices.samples, "directory", None)
        self._choices.generator = replace(recipe, style=style, references=references)

    def _show_translations(self) -> None:
        classifier = self._results.loaded_classifier
        names = classifier.class_names if classifier is not None else ()
        self.translations.show_recipe(self._choices.generator, names)
        generator = self._results.loaded_generator
        said = getattr(getattr(generator, "recipe", None), "positive", None)
        self.settings_rows.show_recipe(
            self._choices.generator if generator is not None else None, names, said
        )

    def _on_translations(self, recipe: Any) -> None:
        self._choices.generator = recipe

    def _show_style(self) -> None:
        recipe = self._choices.generator
        is_stargan = hasattr(recipe, "references")
        self.style_menu.setEnabled(is_stargan)
        if is_stargan:
            with signals_blocked(self.style_menu):
                self.style_menu.setCurrentIndex(self.style_menu.findData(recipe.style))

    def _on_device_picked(self, row: int) -> None:
        self._choices.device = self.device_menu.itemData(row)

    def _show_devices(self, devices: tuple[Any, ...]) -> None:
        with signals_blocked(self.device_menu):
            self.device_menu.setItemText(0, f"auto ({devices[0].id})")
            for device in devices:
                self.device_menu.addItem(str(device), device.id)
        self._show_device()

    def _show_device(self) -> None:
        with signals_blocked(self.device_menu):
            self.device_menu.setCurrentIndex(
                max(0, self.device_menu.findData(self._choices.device))
            )


def _devices() -> tuple[Any, ...]:
    from napari_quac.networks.device import list_devices

    return list_devices()


def _name_of(recipe: Any) -> str:
    path = _path_of(recipe)
    return "" if path is None else path.name


def _path_of(recipe: Any) -> Path | None:
    """Return the first file or folder of a recipe."""
    return None if recipe is None else next(iter(recipe.paths()), None)
