"""A simulator trained on densities that differ in size only: does its growth map mark the growth?

    python benchmarks/warp_growth.py [--minutes 3] [--out DIR]

Trains a classifier and a simulator (the only command that is needed to make both), then asks on
held-back samples whether the density grows where the target has more of it, and shrinks where it
has less. Limit: the sign is right in 90 % of the samples.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from napari_quac.data.synthetic import SyntheticShapes
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.generators.warp.training import WarpEvaluation
from napari_quac.generators.warp.training_settings import WarpTrainingSettings
from napari_quac.networks.warp.field import determinant, log_growth, warp
from napari_quac.train.classifier_trainer import train_classifier
from napari_quac.train.generator_trainer import train_generator
from napari_quac.train.settings import ClassifierTrainingSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp())
    training = SyntheticShapes(600, "train")
    classifier_settings = ClassifierTrainingSettings(
        minutes=options.minutes / 3, feature_maps=8, head=64
    )
    judged = train_classifier(
        training, classifier_settings, path=out / "shape_classifier.safetensors"
    ).result()
    print(f"classifier: {judged.accuracy:.3f} of the held-out images correct")
    settings = WarpTrainingSettings(minutes=options.minutes)
    trained = train_generator(training, out / "training", settings, judged.classifier).result()
    measures = trained.measures
    if not isinstance(measures, WarpEvaluation):
        raise TypeError(f"the evaluation of a simulator was expected, got {measures}")
    path = out / "shape_warp.safetensors"
    path.write_bytes((out / "training" / "warp.safetensors").read_bytes())
    print(
        f"simulator: {trained.steps} steps, sign of the logit {measures.sign_agreement:.1%}, "
        f"switched {measures.switched:.1%}, folded {measures.folded:.2%}, "
        f"{path.stat().st_size / 1024:.0f} kB"
    )
    generator = WarpRecipe(path, "large").load("cpu")
    held_back = SyntheticShapes(60)
    right, switched, inside_all, outside_all = [], [], [], []
    for index in range(len(held_back)):
        sample, truth = held_back[index], held_back.density(index)
        option = 1 if sample.label == 0 else -1
        field = generator.field(sample.image, option)
        moved = warp(sample.image[None], field[None])
        # where the density is in the simulation, since the map belongs to the simulated image
        there = warp(torch.from_numpy(truth)[None, None].float(), field[None], nearest=True)
        growth = option * log_growth(determinant(field.numpy()))
        region = there[0, 0].numpy() > 0.5
        inside_all.append(growth[region].mean() if region.any() else float("nan"))
        outside_all.append(growth[~region].mean())
        right.append(region.any() and growth[region].mean() > max(0.0, growth[~region].mean()))
        switched.append(int(judged.classifier.predict(moved).argmax()) != sample.label)
    print(f"{len(right)} held-back samples: sign of the growth right in {np.mean(right):.1%}")
    print(f"switched to the other class: {np.mean(switched):.1%}")
    print(
        f"median log growth asked for: in the density {np.nanmedian(inside_all):+.2f}, "
        f"around it {np.median(outside_all):+.2f}"
    )


if __name__ == "__main__":
    main()
