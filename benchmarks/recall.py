"""Measure how long earlier explanations take to come back, from memory and from a file.

Run::

    python benchmarks/recall.py [SIZE]

SIZE is that of the square images, 128 by default; all default methods are explained.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from napari_quac.explain.pipeline import explain
from napari_quac.explain.settings import ExplainSettings
from napari_quac.live.cache_folder import CacheFolder
from napari_quac.live.explanation_cache import CachedExplanations, ExplanationCache
from napari_quac.live.identity import ResultOrigin
from napari_quac.live.recall import explanation_key
from napari_quac.testing import CornerSamples, corner_classifier, corner_generator

ROUNDS = 5


def main() -> None:
    """Print the times in milliseconds, the longest of some rounds."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    sample = CornerSamples(size=size)[0]
    classifier, generator = corner_classifier(size), corner_generator(size)
    explanations = explain(sample, 1, classifier, generator, ExplainSettings()).result()
    pair = explanations.pair
    entry = CachedExplanations(pair).with_explanations(explanations)
    cache = ExplanationCache(CacheFolder(Path(tempfile.mkdtemp())), memory_bytes=0)
    key, question = (
        explanation_key(sample, ResultOrigin("c", "g", "s")),
        (pair.source, pair.target),
    )
    other = explanation_key(CornerSamples(size=size)[1], ResultOrigin("c", "g", "s"))
    times: dict[str, list[float]] = {"write": [], "read": [], "memory": []}
    for _ in range(ROUNDS):
        cache.put(key, entry)
        cache.put(other, entry)
        begun = time.perf_counter()
        cache.move_to_disk()
        times["write"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        if not cache.read(key, question):
            raise RuntimeError("not in a file")
        times["read"].append(time.perf_counter() - begun)
        sample_read_again = CornerSamples(size=size)[0]
        begun = time.perf_counter()
        recalled = cache.get(key, question)
        if recalled is None:
            raise RuntimeError("not in memory")
        recalled.bind(sample_read_again)
        times["memory"].append(time.perf_counter() - begun)
    cache.close()
    print(f"{size} px, {len(explanations)} methods, {entry.n_bytes / 2**20:.1f} MB")
    for name, seconds in times.items():
        print(f"{name:8} {max(seconds) * 1000:8.1f} ms")


if __name__ == "__main__":
    main()
