from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel

from napari_quac.gui.dock import QuacDock
from rounding import F32

from .conftest import explain, load, wait

sys.path.insert(0, str(Path(__file__).parents[1]))
from shared_data import shared_data


def type_path(dock: QuacDock, name: str, path: Path) -> None:
    field = dock.samples.field if name == "samples" else dock.networks.fields[name]
    field.edit.setText(str(path))
    QTest.keyClick(field.edit, Qt.Key.Key_Return)


def settle(dock: QuacDock) -> None:
    wait(lambda: not dock.controller.running)


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x03\x04" + 50 * b"\0"])
def test_bad_file_gives_a_red_card_with_the_file_and_a_way_out(
    dock: QuacDock, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    for role in ("classifier", "generator"):
        dock.status.forget_failure()
        type_path(dock, role, path)
        wait(lambda: dock.status.failure is not None)
        card = dock.networks.cards[role]
        assert card.is_bad
        assert "broken.pt" in card.text.text() and len(card.text.text()) > 30
        assert "Traceback" not in card.text.text()
    load(dock)
    explain(dock)
    assert dock.results.displayed_hybrid is not None


def test_a_refused_file_offers_a_cell_to_copy(dock: QuacDock, tmp_path: Path) -> None:
    path = tmp_path / "notebook.pth"
    torch.save({"first.weight": torch.zeros(3, 4), "second.weight": torch.zeros(2, 3)}, path)
    type_path(dock, "classifier", path)
    wait(lambda: dock.status.failure is not None)
    card = dock.networks.cards["classifier"]
    assert card.is_bad and not card.copy_button.isHidden()
    QTest.mouseClick(card.copy_button, Qt.MouseButton.LeftButton)
    clipboard = QApplication.clipboard()
    assert clipboard is not None and "export_classifier(" in clipboard.text()
    load(dock)
    assert card.copy_button.isHidden()


def test_bad_file_leaves_the_network_in_use(dock: QuacDock, tmp_path: Path) -> None:
    load(dock)
    loaded = dock.results.loaded_classifier
    type_path(dock, "classifier", tmp_path)
    settle(dock)
    assert dock.networks.cards["classifier"].is_bad
    assert dock.results.loaded_classifier is loaded


def test_torchscript_is_asked_about_once(dock: QuacDock, tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3)) @ torch.ones(1, 3)

    path = tmp_path / "net.pt"
    torch.jit.trace(Net().eval(), torch.zeros(2, 1, 32, 32)).save(str(path))
    type_path(dock, "classifier", path)
    card = dock.networks.cards["classifier"]
    wait(lambda: "trust" in card.text.text())
    assert dock.results.loaded_classifier is None
    QTest.mouseClick(card.yes_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.loaded_classifier is not None)
    settle(dock)
    assert not card.is_bad and "3 classes" in card.text.text()
    dock.choices.classifier = None
    wait(lambda: dock.results.loaded_classifier is None)
    type_path(dock, "classifier", path)
    wait(lambda: dock.results.loaded_classifier is not None)


def test_real_classifier_and_generated_images(dock: QuacDock) -> None:
    checkpoint = shared_data("checkpoints", "vnc_classifier_state_dict.pt")
    type_path(dock, "classifier", checkpoint)
    wait(lambda: dock.results.loaded_classifier is not None)
    type_path(dock, "samples", shared_data("vnc_patches", "validation"))
    wait(lambda: dock.results.prediction is not None)
    settle(dock)
    classifier = dock.results.loaded_classifier
    assert classifier is not None
    assert classifier.class_names == ("cytosol", "mitochondrion", "synapse")
    generated = shared_data("vnc_generated")
    type_path(dock, "classifier", generated)
    card = dock.networks.cards["classifier"]
    wait(lambda: "Use it as generator?" in card.text.text())
    QTest.mouseClick(card.yes_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.loaded_generator is not None)
    assert not card.is_bad
    dock.choices.update_settings(methods=("residual",))
    dock.choices.shown_method = "residual"
    dock.choices.sample_index = 200
    wait(lambda: dock.results.prediction.sample.label == 1)  # type: ignore[union-attr]
    dock.navigator.step(0)
    explain(dock)
    assert dock.results.displayed_hybrid is not None, dock.status.line.text()


@pytest.mark.long
def test_class_names_and_value_range_can_be_edited(dock: QuacDock) -> None:
    path = shared_data("checkpoints", "vnc_classifier_state_dict.pt")
    type_path(dock, "classifier", path)
    wait(lambda: dock.results.loaded_classifier is not None)
    settle(dock)
    panel = dock.networks
    panel.class_names.setText("a, b, c")
    panel.class_names.editingFinished.emit()
    wait(lambda: dock.results.loaded_classifier.class_names == ("a", "b", "c"))  # type: ignore[union-attr]
    fields = panel.preprocessing_fields
    fields.value_low.setValue(0)
    fields.value_low.editingFinished.emit()
    wait(lambda: dock.results.loaded_classifier.preprocessing.value_range == (0, 1))  # type: ignore[union-attr]
    fields.value_low.setValue(5)
    fields.value_low.editingFinished.emit()
    settle(dock)
    assert dock.networks.cards["classifier"].is_bad
    assert "must be above 5" in dock.networks.cards["classifier"].text.text()


def test_a_folder_of_timm_is_a_classifier_and_no_samples(dock: QuacDock, tmp_path: Path) -> None:
    from networks.test_containers import TIMM, folder_of

    dock.open_path(folder_of(tmp_path, TIMM))
    wait(lambda: dock.results.loaded_classifier is not None)
    classifier = dock.results.loaded_classifier
    assert classifier is not None and classifier.class_names == ("ACh", "GABA", "Glu")
    assert dock.results.loaded_samples is None
    assert "timm folder" in dock.networks.cards["classifier"].text.text()


def test_drop_opens_what_it_is(dock: QuacDock, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / name / "a.png")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    event = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    dock.dropEvent(event)
    wait(lambda: dock.results.loaded_samples is not None)
    assert len(dock.results.loaded_samples) == 2  # type: ignore[arg-type]


def test_layer_gives_samples_with_its_place(dock: QuacDock) -> None:
    load(dock)
    stack = np.random.default_rng(0).integers(0, 200, (5, 32, 32), dtype=np.uint8)
    dock.viewer.add_image(
        stack, name="stack", scale=(40, 4, 4), translate=(0, 8, 12), units=("nm",) * 3
    )
    panel = dock.samples
    assert panel.layer_menu.currentText() == "stack"
    assert (panel.layer_low.value(), panel.layer_high.value()) == (0, 255)
    QTest.mouseClick(panel.use_layer_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.sample is not None and "stack" in dock.results.sample.id)
    settle(dock)
    wait(lambda: np.allclose(dock.layers.layers["query"].translate, (0, 8, 12)))
    np.testing.assert_allclose(dock.layers.layers["query"].data[0], stack[0] / 255, atol=F32)
    assert dock.navigator.misprediction_button.isHidden()
    panel.layer_high.setValue(100)
    panel.use_layer_button.click()
    wait(lambda: "expected 0 to 100" in panel.problem.text())


def test_assumptions_about_samples_are_listed(dock: QuacDock, tmp_path: Path) -> None:
    load(dock)
    (tmp_path / "left").mkdir()
    for number in range(2):
        np.save(tmp_path / "left" / f"{number}.npy", np.full((1, 32, 32), 0.5, np.float32))
    type_path(dock, "samples", tmp_path)
    panel = dock.samples
    wait(lambda: not panel.assumed_button.isHidden())
    assert panel.assumed_button.text() == "Assumed: image axes, image range, voxel size"
    assert panel.assumed_text.isHidden()
    panel.assumed_button.click()
    assert not panel.assumed_text.isHidden()
    assert "0 is black and 1 is white" in panel.assumed_text.text()


def test_range_of_sixteen_bit_files_is_asked_for(dock: QuacDock, tmp_path: Path) -> None:
    import tifffile

    load(dock)
    (tmp_path / "left").mkdir()
    for number in range(2):
        image = np.full((32, 32), 1000 + number, np.uint16)
        tifffile.imwrite(tmp_path / "left" / f"{number}.tif", image)
    type_path(dock, "samples", tmp_path)
    wait(lambda: not dock.samples.folder_range.isHidden())
    assert "1000" in dock.samples.problem.text()
    buttons = dock.samples.range_buttons
    wait(lambda: not buttons[0].isHidden())
    assert [entry.text() for entry in buttons] == [
        "0 to 1023 (10 bits)", "0 to 65535 (all of uint16)", "1000 to 1001 (extremes of all files)"
    ]  # fmt: skip
    dock.samples.folder_high.setValue(2000)
    dock.samples.use_range_button.click()
    wait(lambda: dock.results.prediction is not None)
    settle(dock)
    assert dock.samples.folder_range.isHidden() and dock.samples.problem.isHidden()
    assert float(dock.results.sample.image.max()) == 0.5  # type: ignore[union-attr]


def test_previews_select_and_broken_ones_say_why(dock: QuacDock) -> None:
    load(dock)
    dock.samples.preview_buttons[5].click()
    wait(lambda: dock.results.prediction.sample.id == "corner/8")  # type: ignore[union-attr]
    assert dock.navigator.spin.value() == 9
    assert "values" in dock.samples.range_line.text()


def test_start_card_tells_the_steps_and_goes(dock: QuacDock) -> None:
    assert not dock.start.isHidden()
    load(dock)
    marks = [label for label in dock.start.findChildren(QLabel) if label.property("role") == "mark"]
    assert [mark.text() for mark in marks] == ["✓", "✓", "3"]
    explain(dock)
    assert dock.start.isHidden()


def test_cyclegan_asks_which_classes_it_translates(dock: QuacDock, tmp_path: Path) -> None:
    from napari_quac.networks.architectures.translation import ResnetGenerator

    for letter in "AB":
        network = ResnetGenerator(1, 1, 4, 1)
        torch.save(network.state_dict(), tmp_path / f"latest_net_G_{letter}.pth")
    load(dock)
    type_path(dock, "generator", tmp_path / "latest_net_G_A.pth")
    rows = dock.networks.translations
    wait(lambda: len(getattr(dock.choices.generator, "translations", ())) == 2)
    settle(dock)
    assert not dock.networks.cards["generator"].is_bad
    assert rows.isVisibleTo(dock) and len(rows.rows) == 2
    assert rows._hint.isVisibleTo(rows)
    explain(dock)
    assert "latest_net_G_A.pth" in dock.status.failure.sentence
    dock.status.forget_failure()
    _, source, _, target = rows.rows[0]
    # the sample is of the first class, and by default it is asked about another one
    classifier, prediction = dock.results.loaded_classifier, dock.results.prediction
    names = classifier.class_names
    source.setCurrentIndex(source.findData(names[prediction.predicted]))
    question = prediction.choose_question(dock.choices.settings, classifier, None)
    target.setCurrentIndex(target.findData(names[question.targets[0]]))
    settle(dock)
    assert dock.choices.generator.is_complete  # the way back follows by itself
    assert not rows._hint.isVisibleTo(rows)
    explain(dock)
    assert dock.status.failure is None
    assert dock.results.pair.origin["network"] == "latest_net_G_A.pth"
    assert dock.results.pair.n_tried == 1


def test_folder_of_a_cyclegan_is_a_generator(dock: QuacDock, tmp_path: Path) -> None:
    from napari_quac.networks.architectures.translation import ResnetGenerator

    for letter in "AB":
        network = ResnetGenerator(1, 1, 4, 1)
        torch.save(network.state_dict(), tmp_path / f"7_net_G_{letter}.pth")
    load(dock)
    before = dock.results.loaded_generator
    dock.open_path(tmp_path)
    wait(lambda: dock.results.loaded_generator is not before)
    settle(dock)
    type_path(dock, "generator", Path(f"left:right={tmp_path}"))
    wait(lambda: getattr(dock.results.loaded_generator, "pairs", ()) != [])
    assert dock.results.loaded_generator.pairs == ["left → right", "right → left"]
    assert "left → right" in dock.networks.cards["generator"].text.text()


@pytest.mark.long
def test_output_and_variant_are_chosen_in_menus(dock: QuacDock, tmp_path: Path) -> None:
    import torch

    from napari_quac.networks.architectures.resnet import ResNet

    network = ResNet(1, 3, [1, 1], [8, 16], [8, 16], stem_width=8)
    torch.save(network.state_dict(), tmp_path / "net.pt")
    type_path(dock, "classifier", tmp_path / "net.pt")
    wait(lambda: dock.results.loaded_classifier is not None)
    settle(dock)
    fields = dock.networks.architecture_fields
    before = dock.results.loaded_classifier
    fields.part_menu.setCurrentIndex(fields.part_menu.findData("stem pooling"))
    assert fields.choice_menu.currentData() == "max"
    fields.choice_menu.setCurrentIndex(fields.choice_menu.findData("none"))
    wait(lambda: dock.results.loaded_classifier is not before)
    assert dock.choices.classifier.variant == {"stem pooling": "none"}
    settle(dock)
    assert fields.part_menu.currentData() == "stem pooling"
    assert fields.choice_menu.currentData() == "none"
    fields.output_menu.setCurrentIndex(fields.output_menu.findData("independent logits"))
    wait(lambda: dock.results.loaded_classifier.output == "independent logits")  # type: ignore[union-attr]
    assert fields.output_menu.currentText() == "independent logits"
