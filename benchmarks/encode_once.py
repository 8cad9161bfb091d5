"""Ten proposals of a StarGAN v2 of official size: the query encoded once, or ten times.

The weights are random, which changes no time. Both ways run in turn, in one process.

    OMP_NUM_THREADS=2 python benchmarks/encode_once.py [--size 128] [--runs 5]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from napari_quac.generators.stargan.generator import StarGANGenerator
from napari_quac.networks.architectures.stargan_v2 import StarGAN, official_hyperparameters

N_PROPOSALS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    generator = StarGANGenerator(StarGAN(official_hyperparameters(options.size, num_domains=3)))
    query = torch.rand(1, 1, options.size, options.size)
    styles = torch.randn(N_PROPOSALS, generator.hyper.style_dim)

    def once() -> torch.Tensor:
        features = generator.encode(query)
        return torch.cat([generator.decode(query, features, style[None]) for style in styles])

    def each_time() -> torch.Tensor:
        return torch.cat(
            [generator.decode(query, generator.encode(query), style[None]) for style in styles]
        )

    times: dict[str, list[float]] = {"once": [], "each time": []}
    with torch.inference_mode():
        equal = torch.equal(once(), each_time())
        for _ in range(options.runs):
            for name, way in (("once", once), ("each time", each_time)):
                start = time.perf_counter()
                way()
                times[name].append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(times["once"], times["each time"], strict=True)]
    print(f"{N_PROPOSALS} proposals at {options.size} px, {torch.get_num_threads()} thread(s)")
    for name, values in times.items():
        print(f"encoded {name:10s} {statistics.median(values):6.2f} s")
    print(f"ratio              {statistics.median(ratios):6.2f}")
    print(f"bit for bit equal  {equal}")


if __name__ == "__main__":
    main()
