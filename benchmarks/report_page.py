"""Size and loading time of the page of a report: 60 samples of 128 pixels, 3 methods.

``python benchmarks/report_page.py [N]`` explains the samples of the example, writes the page, and
opens it three times in Chromium, each time with a new profile.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from napari_quac.batch.tasks import explain_tasks, tasks_of
from napari_quac.example.example import load_example
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.opening import load_classifier, load_generator
from napari_quac.reports.figures.subject import read_subjects
from napari_quac.reports.html.page import write_page
from napari_quac.reports.opening import open_report
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import StoreInfo

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reports.chromium import browser, open_page

METHODS = ("d-ig", "residual", "random")
MOVES = """
const done = arguments[arguments.length - 1];
const slider = document.getElementById("threshold");
const begun = performance.now();
for (let i = 0; i <= Number(slider.max); i += 1) {
  slider.value = i;
  slider.dispatchEvent(new Event("input", {bubbles: true}));
}
done((performance.now() - begun) / (Number(slider.max) + 1));
"""


def main(n_samples: int) -> None:
    example = load_example(n_samples)
    classifier = load_classifier(example.classifier_path)
    generator = load_generator(example.generator_path)
    settings, dataset = ExplainSettings(METHODS), example.dataset
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        info = StoreInfo.of(classifier, generator, None, settings, dataset.name, dataset=dataset)
        store = ExplanationStore.create(folder / "store", info)
        explain_tasks(tasks_of(dataset), dataset, classifier, generator, settings, store).result()
        begun = time.perf_counter()
        path = folder / "page.html"
        write_page(read_subjects(open_report(store.folder), store.folder), path, "Benchmark")
        print(f"written in {time.perf_counter() - begun:.1f} s, {path.stat().st_size / 1e6:.2f} MB")
        for number in range(3):
            with browser(folder / str(number)) as driver:
                begun = time.perf_counter()
                open_page(driver, path)
                seconds = time.perf_counter() - begun
                script = "return Number(document.documentElement.dataset.readyAfter) / 1000"
                displayed = driver.execute_script(script)
                move = driver.execute_async_script(MOVES)
                print(
                    f"first sample displayed after {displayed:.2f} s ({seconds:.2f} s with the "
                    f"driver), {move:.1f} ms for each position of the slider"
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
