"""The classifier to explain and the generator: files, facts, class names, input range, device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.data.assumptions import assumptions_of
from napari_quac.data.name_match import join_names, split_names
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.generators.opening import (
    RecognizedNetwork,
    Role,
    recipe_without_file,
    recognize_network,
)
from napari_quac.gui import widgets as ui
from napari_quac.gui.consent import NO, YES, ConsentCard
from napari_quac.gui.panels.architecture_fields import ArchitectureFields
from napari_quac.gui.panels.class_match_card import ClassMatchCard, ClassNamingOffer
from napari_quac.gui.panels.generator_settings import (
    ActivationRow,
    GeneratorSettings,
    TranslationRows,
    generator_names,
)
from napari_quac.gui.panels.network_card import Card, NetworkSize
from napari_quac.gui.panels.preprocessing_fields import PreprocessingFields
from napari_quac.gui.path_field import PathField
from napari_quac.gui.section import Section, labeled_row
from napari_quac.gui.slots import slot, slots
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.edit_history import EditHistory
from napari_quac.live.failure import Failure, failure
from napari_quac.live.results import Results
from napari_quac.networks.consent import names_of, programs_in, trust, untrusted
from napari_quac.reading import is_folder

FILES = "Networks (*.pt *.pth *.ts *.safetensors *.ckpt *.pt2 *.jit);;All files (*)"
STYLES = {"latent": "latent: random styles", "reference": "reference: styles of images"}


@slots
class NetworksPanel(Section):
    """Chooses networks; a file that does not work leaves what worked in place."""

    asked = Signal(QWidget)
    """A card asks a question, perhaps while another page is displayed."""

    def __init__(
        self, choices: Choices, results: Results, controller: Controller, settings: QSettings,
        history: EditHistory | None = None,
    ) -> None:  # fmt: skip
        super().__init__("Networks", "networks")
        self._history = history or EditHistory(choices)
        self._choices, self._results, self._controller = choices, results, controller
        self._settings = settings
        self._offers: dict[str, RecognizedNetwork] = {}
        self._size_on_card: tuple[int, ...] | None = None
        self._inspected_path: Path | None = None
        self.fields = {
            "classifier": PathField("Classifier", "classifier", "a file of weights", FILES),
            "generator": PathField(
                "Generator", "generator", "a file, or a folder of images", FILES, True
            ),
        }
        self.cards = {role: Card(role) for role in self.fields}
        self.consent = ConsentCard(choices, controller)
        self.with_consent = self.consent.ask
        self.consent.asked.connect(slot(partial(self.asked.emit, self.consent)))
        for role, field in self.fields.items():
            field.picked.connect(slot(lambda path, role=role: self.open_path(Path(path), role)))
            self.cards[role].accepted.connect(slot(lambda role=role: self._on_accepted(role)))
            self.cards[role].declined.connect(slot(lambda role=role: self._on_declined(role)))
        self.fields["generator"].offer(generator_names, self._on_named)
        self.size_row = NetworkSize()
        self.size_row.picked.connect(self._on_size_picked)
        self.size_row.hide()
        self.translations, self.settings_rows = TranslationRows(), GeneratorSettings()
        for rows in (self.translations, self.settings_rows):
            rows.recipe_changed.connect(slot(partial(setattr, choices, "generator")))
        self.activation = ActivationRow(choices, results, controller)
        self.device_menu = ui.menu(
            "device_menu", entries={"auto": "auto"}, picked=self._on_device_picked
        )
        self.device_menu.setMinimumContentsLength(8)
        self.naming_offer = ClassNamingOffer(results)
        self.naming_offer.accepted.connect(self._name_classes)
        self.class_match = ClassMatchCard(choices, results)
        self._build_details()
        self.details_button = ui.disclosure_button(
            "Details", "network_details_button", self._details
        )
        self.details_button.toggled.connect(self._on_details)
        self.add(
            self.consent,
            self.fields["classifier"],
            self.cards["classifier"],
            self.naming_offer,
            self.size_row,
            self.fields["generator"],
            self.cards["generator"],
            self.class_match,
            self.translations,
            self.settings_rows,
            self.activation,
            labeled_row("Device", self.device_menu, self.details_button),
            self._details,
        )
        results.events.loaded_classifier.connect(self._show_classifier)
        results.events.prediction.connect(self._show_adopted_size)
        for signal in (results.events.loaded_generator, results.events.class_match):
            signal.connect(self._show_generator)
        controller.failed.connect(self._on_failed)
        controller.run("devices", "looking for devices", _devices, self._show_devices)
        self._show_classifier()
        self._show_generator()

    def open_path(
        self, path: Path, role: str | None = None, size: Any = None, pools: Any = None
    ) -> None:
        """Recognize a file and use it; ask first if it has another role than expected."""
        path = path.expanduser()
        expected_role: Role | None = "generator" if role == "generator" else None
        if role is not None:
            self.fields[role].show_path(path)
        if role == "classifier":
            if path != self._inspected_path:  # the size belongs to another file
                self.size_row.show_size(None, None)
                self.size_row.setVisible(self.details_button.isChecked())
            self._inspected_path = path

        def use_or_offer(network: RecognizedNetwork) -> None:
            if role is not None and network.role != role:
                self._offer_other_role(path, role, network)
            else:
                self.use_network(network.with_stated_facts(getattr(self._choices, network.role)))

        self._inspect(
            f"look into {role or path}",
            f"inspecting '{path.name}'",
            lambda: recognize_network(path, size, pools, expected_role),
            use_or_offer,
        )

    def _on_named(self, name: str) -> None:
        """Use a generator without a file."""

        def use(recipe: Any) -> None:
            self.use_network(RecognizedNetwork.of("generator", recipe))
            self.fields["generator"].show_path(None, name)

        self._inspect(
            "look into generator", f"creating '{name}'", lambda: recipe_without_file(name), use
        )

    def _inspect(
        self, slot: str, text: str, work: Callable[[], Any], use: Callable[[Any], None]
    ) -> None:
        """Run work whose failure is shown on the card of the network as well."""

        def report(error: BaseException) -> None:
            fault = failure(slot, text, error)
            role = "generator" if "generator" in slot else "classifier"
            self._show_failure(role, fault)
            self._controller.failed.emit(fault)

        self._controller.run(slot, text, work, use, report)

    def use_recipes(self, classifier: Any, generator: Any) -> None:
        """Use recipes whose programs are trusted, such as those of the example."""
        trust(programs_in(classifier, generator))
        self._choices.classifier = classifier
        self._choices.generator = generator

    @slot
    def use_network(self, network: RecognizedNetwork) -> None:
        """Use a recognized network; ask first if it contains a program."""
        role, path = network.role, _path_of(network.recipe)
        if unknown := untrusted(network.programs):
            self._offers[role] = network
            several = len(unknown) > 1
            self.cards[role].ask(
                f"{names_of(unknown)} {'contain programs' if several else 'contains a program'} "
                f"beside the weights. Use {'them' if several else 'it'} only if you trust the "
                "source.",
                YES,
                NO,
            )
            self.asked.emit(self.cards[role])
            return
        self._offers.pop(role, None)
        self.fields[role].show_path(path)
        if path != _path_of(getattr(self._choices, role)):
            self._choices.class_map = {}  # was about other classes
            self.class_names.setModified(role == "generator" and self.class_names.isModified())
        if getattr(self._choices, role) == network.recipe:
            self._show_card(role)  # the same file again: nothing to load
        setattr(self._choices, role, network.recipe)

    def _offer_other_role(self, path: Path, role: str, network: RecognizedNetwork) -> None:
        content = f" ({network.findings[0].rstrip('.')})" if network.findings else ""
        kind = "folder" if is_folder(path) else "file"
        self._offers[role] = network
        self.cards[role].ask(
            f"'{path.name}' is not a {role}. This {kind} contains a {network.role}{content}. "
            f"Use it as {network.role}?",
            f"Use as {network.role}",
            "Do not use",
        )
        self.asked.emit(self.cards[role])

    def ask_for_file(self, role: str, sentence: str) -> None:
        """Ask for the file of a network."""
        self._offers.pop(role, None)
        self.cards[role].ask(sentence, "Choose file…", "Not now")

    def _on_accepted(self, role: str) -> None:
        network = self._offers.get(role)
        if network is None:
            self.fields[role].choose_file()
            return
        if network.role == role:
            self.consent.agree(network.programs, partial(self.use_network, network))
            return
        self._on_declined(role)  # the question was about the role; the one about programs follows
        self.use_network(network)

    def _on_declined(self, role: str) -> None:
        self._offers.pop(role, None)
        self.fields[role].show_path(_path_of(getattr(self._choices, role)))
        self._show_card(role)

    def _on_size_picked(self, size: Any, pools: Any) -> None:
        if self._inspected_path is not None:
            self.open_path(self._inspected_path, "classifier", size, pools)

    def _on_failed(self, fault: Failure) -> None:
        role = {"opened_classifier": "classifier", "opened_generator": "generator"}.get(fault.slot)
        if role is not None:
            self._show_failure(role, fault)
            self._show_device()

    def _show_failure(self, role: str, fault: Failure) -> None:
        cell = getattr(fault.error, "cell", "")
        self._show_problem(role, fault.sentence, cell, fault.details)

    def _show_problem(self, role: str, sentence: str, cell: str = "", details: str = "") -> None:
        path = _path_of(getattr(self._choices, role))
        is_loaded = getattr(self._results, f"loaded_{role}") is not None
        in_use = f"Still in use: {path.name}" if path is not None and is_loaded else ""
        self.cards[role].show_problem(sentence, in_use, cell, details)
        if role == "classifier" and "image size" in sentence:
            self.size_row.show()
        self.set_open(True)

    def _show_card(self, role: str) -> None:
        if role == "classifier":
            self._show_classifier()
        else:
            self._show_generator()

    def _show_adopted_size(self) -> None:
        """Update the card after the first image determined the input size."""
        classifier = self._results.loaded_classifier
        if classifier is not None and classifier.image_size != self._size_on_card:
            self._show_classifier()

    def _show_classifier(self) -> None:
        classifier = self._results.loaded_classifier
        self._details.setEnabled(classifier is not None)
        self.size_row.setVisible(self.details_button.isChecked())
        self._show_summary()
        self._show_translations()
        if classifier is None:
            self.cards["classifier"].clear()
            return
        path, facts = _path_of(self._choices.classifier), classifier.description
        if path is not None:
            self.fields["classifier"].show_path(path)
            self._inspected_path = path
        size = self._size_on_card = classifier.image_size
        self.size_row.show_size(size, getattr(self._choices.classifier, "pools", None))
        pixels = facts.get("Image size", "any size").partition(" (")[0] if size else "any size"
        channels = "1 channel" if classifier.channels == 1 else f"{classifier.channels} channels"
        kind = facts.get("Kind", classifier.form)
        headline = f"✓ {kind} · {classifier.n_classes} classes · {pixels} · {channels}"
        self.cards["classifier"].show_facts(headline, facts, classifier.assumptions)
        self.preprocessing_fields.show_preprocessing(classifier.preprocessing)
        self.architecture_fields.show_classifier(classifier, self._choices.classifier)
        if not self.class_names.isModified():  # else the user is typing
            self._show_class_names(classifier.class_names)

    def _show_generator(self) -> None:
        generator = self._results.loaded_generator
        self._show_summary()
        self._show_style()
        self._show_translations()
        if generator is None:
            self.cards["generator"].clear()
            return
        path, facts = _path_of(self._choices.generator), generator.description
        if path is not None:
            self.fields["generator"].show_path(path)
        parts = [facts.get("Kind", generator.name)]
        parts += [facts[key] for key in ("Style", "Translates", "Image size") if key in facts]
        if "Class pairs" in facts:
            parts.append(f"{facts['Class pairs']} class pairs")
        match = self._results.class_match
        assumptions = (*assumptions_of(generator), *assumptions_of(match))
        headline = "✓ " + " · ".join(parts)
        if match is not None and not match.is_answered:
            headline = "? " + " · ".join((*parts, "classes to be matched"))
        self.cards["generator"].show_facts(headline, facts, assumptions)

    def _show_summary(self) -> None:
        parts = []
        if self._results.loaded_classifier is not None:
            parts.append(self._results.loaded_classifier.name or "classifier")
        if self._results.loaded_generator is not None:
            parts.append(self._results.loaded_generator.name)
        self.set_summary(" + ".join(parts))

    def _build_details(self) -> None:
        self._details = QWidget()
        self.class_names = ui.line_edit("class_names")
        self.class_names.editingFinished.connect(self._on_names_edited)
        self.preprocessing_fields = PreprocessingFields()
        self.preprocessing_fields.changed.connect(self._on_preprocessing)
        self.preprocessing_fields.refused.connect(
            slot(lambda sentence: self._show_problem("classifier", sentence))
        )
        self.architecture_fields = ArchitectureFields()
        self.architecture_fields.changed.connect(self._on_architecture)
        self.style_menu = ui.menu(
            "style_menu", entries=STYLES, picked=self._on_style_picked, n_characters=12
        )
        ui.column(
            labeled_row("Classes", self.class_names),
            self.preprocessing_fields,
            self.architecture_fields,
            labeled_row("Style", self.style_menu),
            parent=self._details,
        )

    def _on_details(self, is_open: bool) -> None:
        self.size_row.setVisible(is_open)
        self.class_match.set_unfolded(is_open)
        for card in self.cards.values():
            card.set_unfolded(is_open)

    def _show_class_names(self, names: tuple[str, ...]) -> None:
        with signals_blocked(self.class_names):
            self.class_names.setText(join_names(names))
            self.class_names.setCursorPosition(0)

    def _on_names_edited(self) -> None:
        """State the names that were typed; without any, those of file and labels return."""
        classifier = self._results.loaded_classifier
        names = split_names(self.class_names.text())
        self.class_names.setModified(False)
        if classifier is None or names == classifier.class_names:
            return
        if names and len(names) != classifier.n_classes:
            self.class_names.setModified(True)  # to be corrected
            self._show_problem(
                "classifier",
                f"The classifier has {classifier.n_classes} outputs, but there are {len(names)} "
                "class names. Give one for each, separated by commas; a name with a comma is put "
                "in double quotes.",
            )
            return
        self._name_classes(names)

    @slot
    def _name_classes(self, names: tuple[str, ...]) -> None:
        recipe = self._choices.classifier
        if recipe is not None and hasattr(recipe, "class_names"):
            with self._history.edit("class names"):
                self._choices.classifier = replace(recipe, class_names=names or None)

    def _on_preprocessing(self, preprocessing: Preprocessing) -> None:
        recipe, classifier = self._choices.classifier, self._results.loaded_classifier
        if classifier is None or preprocessing == classifier.preprocessing:
            return
        if recipe is None or not hasattr(recipe, "preprocessing"):  # made elsewhere
            return
        with self._history.edit("preprocessing"):
            self._choices.classifier = replace(recipe, preprocessing=preprocessing)

    def _on_architecture(self, changes: dict[str, Any]) -> None:
        recipe = self._choices.classifier
        if recipe is not None and any(getattr(recipe, k) != v for k, v in changes.items()):
            self._choices.classifier = replace(recipe, **changes)

    def _on_style_picked(self, row: int) -> None:
        recipe = self._choices.generator
        style = self.style_menu.itemData(row)
        if recipe is None or getattr(recipe, "style", style) == style:
            return
        references = getattr(self._choices.samples, "directory", None)
        self._choices.generator = replace(recipe, style=style, references=references)

    def _show_translations(self) -> None:
        classifier, generator = self._results.loaded_classifier, self._results.loaded_generator
        names = classifier.class_names if classifier is not None else ()
        self.translations.show_recipe(self._choices.generator, names)
        loaded_positive = getattr(getattr(generator, "recipe", None), "positive", None)
        recipe = self._choices.generator if generator is not None else None
        self.settings_rows.show_recipe(recipe, names, loaded_positive)

    def _show_style(self) -> None:
        recipe = self._choices.generator
        is_stargan = hasattr(recipe, "references")
        self.style_menu.setEnabled(is_stargan)
        if is_stargan:
            ui.choose_entry(self.style_menu, recipe.style)

    def _on_device_picked(self, index: int) -> None:
        self._choices.device = self.device_menu.itemData(index)

    def _show_devices(self, devices: tuple[Any, ...]) -> None:
        automatic = {"auto": f"auto ({devices[0].id})"}
        ui.fill_menu(self.device_menu, automatic | {device.id: str(device) for device in devices})
        self._show_device()

    def _show_device(self) -> None:
        device = self._choices.device
        is_listed = self.device_menu.findData(device) >= 0
        ui.choose_entry(self.device_menu, device if is_listed else "auto")


def _devices() -> tuple[Any, ...]:
    from napari_quac.networks.device import list_devices

    return list_devices()


def _path_of(recipe: Any) -> Path | None:
    """Return the first file or folder of a recipe."""
    return None if recipe is None else next(iter(recipe.paths()), None)
