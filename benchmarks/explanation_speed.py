"""Two explanations (D-IG and D-DeepLIFT) of one pair: ours beside the QuAC library's procedure.

The procedure is re-enacted with the same public libraries: Captum's integrated gradients with 50
steps in one batch, Captum's DeepLIFT, and for each method 200 masks with a binary closing each,
200 hybrids in one batch. Each run is a process of its own, the two in turn, so that peak memory
and drift of the machine are fair. Needs the test data; OpenCV is not needed (scipy closes alike).

    python benchmarks/explanation_speed.py [--runs 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

DATA = Path(os.environ.get("NAPARI_QUAC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
N_PAIRS = 3


def load_pairs():
    import numpy as np
    import torch

    arrays = np.load(DATA / "quac_reference" / "pairs.npz")
    meta = json.loads((DATA / "quac_reference" / "pairs.json").read_text())
    return meta["class_order"], [
        (
            torch.from_numpy(arrays[f"pair{index}_query"]),
            torch.from_numpy(arrays[f"pair{index}_generated"]),
            meta["pairs"][index]["source_index"],
            meta["pairs"][index]["target_index"],
        )
        for index in range(N_PAIRS)
    ]


def load_ours(classes):
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    path = DATA / "checkpoints" / "vnc_classifier_state_dict.pt"
    return ClassifierRecipe(path, class_names=tuple(classes)).load("cpu")


def run_ours() -> dict:
    from napari_quac.data.dataset import Sample
    from napari_quac.explain.attribution import attribute
    from napari_quac.explain.methods import METHODS
    from napari_quac.explain.pair import make_pair
    from napari_quac.explain.pipeline import explain_attribution

    classes, pairs = load_pairs()
    classifier = load_ours(classes)
    stages: dict[str, list[float]] = {}
    times, scores = [], []
    for index, (query, generated, source, target) in enumerate([pairs[0], *pairs]):
        begun = time.perf_counter()
        sample = Sample(str(index), (query + 1) / 2)
        pair = make_pair(sample, (generated + 1) / 2, source, target, classifier)
        marks = {"predict": time.perf_counter() - begun}
        for name in ("d-ig", "d-deeplift"):
            start = time.perf_counter()
            attribution = attribute(pair, name, METHODS[name](), classifier).result()
            marks[f"attribution {name}"] = time.perf_counter() - start
            start = time.perf_counter()
            explanation = explain_attribution(pair, attribution, classifier).result()
            marks[f"curve {name}"] = time.perf_counter() - start
            if index:
                scores.append(explanation.quac_score)
        if index:  # the first one warms up
            times.append(time.perf_counter() - begun)
            for key, value in marks.items():
                stages.setdefault(key, []).append(value)
    return {
        "seconds": statistics.median(times),
        "scores": scores,
        "stages": {key: statistics.median(values) for key, values in stages.items()},
    }


def run_library_procedure() -> dict:
    import numpy as np
    import torch
    from captum.attr import DeepLift, IntegratedGradients
    from scipy import ndimage

    from napari_quac.explain.mask import ellipse, gaussian_kernel
    from napari_quac.explain.score import quac_score

    classes, pairs = load_pairs()
    module = load_ours(classes).module
    element, kernel = ellipse(10), gaussian_kernel(11)
    thresholds = np.arange(-1, 1, 0.01)

    def mask(attribution, threshold):
        hard = attribution > threshold
        closed = np.empty_like(hard)
        for channel, plane in enumerate(hard):
            dilated = ndimage.binary_dilation(plane, structure=element[::-1, ::-1], origin=(-1, -1))
            closed[channel] = ndimage.binary_erosion(dilated, structure=element, border_value=1)
        soft = closed.astype(np.float32)
        for axis in (-1, -2):
            soft = ndimage.correlate1d(soft, kernel, axis=axis, mode="mirror")
        return soft, closed.sum()

    def probabilities(images):
        with torch.no_grad():
            return module(images).softmax(dim=1).numpy()

    def score(query, generated, target, attribution):
        before = probabilities(query[None])[0, target]
        masks, sizes = zip(*(mask(attribution, t) for t in thresholds), strict=True)
        hybrids = torch.from_numpy(
            np.stack([generated.numpy() * m + query.numpy() * (1 - m) for m in masks])
        )
        changes = probabilities(hybrids)[:, target] - before
        return quac_score(np.array(sizes) / attribution.size, changes.astype(np.float64))

    def normalize_map(raw):
        magnitude = np.abs(raw.detach().numpy())
        return (magnitude - magnitude.min()) / (magnitude.max() - magnitude.min())

    times, scores = [], []
    integrated, deeplift = IntegratedGradients(module), DeepLift(module)
    for index, (query, generated, source, target) in enumerate([pairs[0], *pairs]):
        begun = time.perf_counter()
        found = []
        for method in (integrated, deeplift):
            raw = method.attribute(
                query[None].clone().requires_grad_(), generated[None], target=source
            )[0]
            found.append(score(query, generated, target, normalize_map(raw)))
        if index:
            times.append(time.perf_counter() - begun)
            scores += found
    return {"seconds": statistics.median(times), "scores": scores}


def in_own_process(which: str, threads: int) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-W", "ignore", __file__, "--only", which]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs, in turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="torch threads")
    parser.add_argument("--only", choices=("ours", "library"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        result = run_ours() if options.only == "ours" else run_library_procedure()
        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    ours, library = [], []
    for _ in range(options.runs):
        library.append(in_own_process("library", options.threads))
        ours.append(in_own_process("ours", options.threads))
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(library, ours, strict=True)]
    median = statistics.median
    print(f"{options.runs} runs in turn, {options.threads} thread(s), {N_PAIRS} pairs of 128 px")
    print(f"library's procedure  {median(r['seconds'] for r in library):7.2f} s per pair")
    print(f"ours                 {median(r['seconds'] for r in ours):7.2f} s per pair")
    spread = f"(from {min(ratios):.2f} to {max(ratios):.2f})"
    print(f"ratio                {median(ratios):7.2f}   {spread}")
    memory = [median(r["peak_mb"] for r in rows) for rows in (library, ours)]
    print(f"peak memory          {memory[0]:7.0f} MB, ours {memory[1]:.0f} MB")
    d_ig = [abs(a - b) for a, b in zip(library[0]["scores"], ours[0]["scores"], strict=True)][::2]
    print(f"D-IG scores differ by at most {max(d_ig):.1e}")
    print("D-DeepLIFT scores are not compared: Captum's maps miss completeness (see docs)")
    stages = {stage: median(run["stages"][stage] for run in ours) for stage in ours[0]["stages"]}
    total = sum(stages.values())
    print("share of each stage (ours):")
    for stage, seconds in stages.items():
        print(f"  {stage:24s} {seconds * 1e3:7.1f} ms  {seconds / total:6.1%}")


if __name__ == "__main__":
    main()
