"""Take the picture of ``docs/how-to/rating.md`` with the example; run it on a display or Xvfb.

python docs/make_rating_picture.py [FILE]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.example import load_example
from napari_quac.explain.pipeline import explain
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.opening import load_classifier, load_generator
from napari_quac.gui.rating.window import RatingWindow
from napari_quac.reports.record import explained_record
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.reports.task_images import images_of
from napari_quac.study.features import DROSOPHILA_SYNAPSE
from napari_quac.study.protocol import Protocol, Rater, Sampling
from napari_quac.study.rating_session import RatingSession
from napari_quac.study.sealing import draft_study, seal_study

PICTURE = Path(__file__).parent / "images" / "rating.png"


def main() -> None:
    application = QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        window = open_window(Path(folder))
        for key in "323":
            QTest.keyClick(window, key)
        application.processEvents()
        window.grab().save(str(sys.argv[1] if len(sys.argv) > 1 else PICTURE))
        window.close()


def open_window(folder: Path) -> RatingWindow:
    """Explain some samples of the example and open a study over them."""
    example, settings = load_example(), ExplainSettings(("residual",))
    classifier = load_classifier(example.classifier_path)
    generator = load_generator(example.generator_path)
    names = classifier.class_names
    info = StoreInfo(names, NetworkIdentity("c"), NetworkIdentity("g"), settings)
    store = ExplanationStore.create(folder / "explanations", info)
    for index in range(0, len(example.dataset), max(1, len(example.dataset) // 16)):
        sample = example.dataset[index]
        predicted = int(classifier.predict(sample.image[None])[0].argmax())
        target = (predicted + 1) % len(names)
        found = tuple(explain(sample, target, classifier, generator, settings).result().values())
        record = explained_record(found[0].pair, found, names, settings=settings, targets=[target])
        store.write(record, images_of(found[0].pair, found))
    protocol = Protocol(
        features=DROSOPHILA_SYNAPSE, raters=(Rater("Ann"),), primary=("clear vesicle size",)
    )
    sampling = Sampling(folder / "explanations", n_per_stratum=3, seed=1)
    seal_study(draft_study(folder / "study", protocol, sampling), "Grace")
    window = RatingWindow(RatingSession(folder / "study", "Ann"))
    window.resize(1366, 768)
    window.show()
    QTest.qWaitForWindowExposed(window)
    return window


if __name__ == "__main__":
    main()
