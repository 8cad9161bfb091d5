"""Compute the numbers of the parity tests with the QuAC library; see README.md beside this file.

This is the only file that needs that library. It uses nothing of napari-quac:

    PYTHONPATH=quac/src python tests/parity/make_reference.py

where ``quac`` is a copy of funkelab/quac at commit 3e94ff8, version 0.2.1.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from quac.attribution import (
    AttributionIO,
    DDeepLift,
    DInGrad,
    DIntegratedGradients,
    VanillaDeepLift,
    VanillaIntegratedGradients,
)
from quac.data import read_image
from quac.evaluation import Evaluator, Processor, UnblurredProcessor
from quac.report import Report, merge_reports
from quac.training import stargan
from quac.training.classification import ClassifierWrapper
from safetensors.torch import load_file
from torch import Tensor, nn
from weights import seeded_inputs, seeded_states

FOLDER = Path(__file__).parent / "reference"
NETWORKS = Path(__file__).parents[2] / "src" / "napari_quac" / "example" / "networks"
METHODS = (DIntegratedGradients, DDeepLift, DInGrad, VanillaIntegratedGradients, VanillaDeepLift)
PROCESSORS = {"default": Processor, "no_blur": UnblurredProcessor}
MASK_THRESHOLDS = (-1.0, 0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8)


class Network(nn.Module):
    """The classifier of networks.py beside this file, rebuilt from its tensors.

    Parameters
    ----------
    state : dict of str to Tensor
    averages : bool
        With average pools in place of max pools.
    """

    def __init__(self, state: dict[str, Tensor], averages: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(0, 28, 7):
            for first in (number, number + 3):
                n_out, n_in = state[f"features.{first}.weight"].shape[:2]
                layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
            layers.append(nn.AvgPool2d(2) if averages else nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        n_hidden, n_flat = state["classifier.0.weight"].shape
        n_classes = len(state["classifier.3.bias"])
        head = (
            nn.Linear(n_flat, n_hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(n_hidden, n_classes),
        )
        self.classifier = nn.Sequential(*head)
        self.load_state_dict(state)
        self.enlarge = nn.Upsample(scale_factor=2.0)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(self.enlarge(x)).flatten(1))


def to_network_range(image: Tensor) -> Tensor:
    return image * 2 - 1


def evaluate(evaluator: Evaluator, pair: tuple, values: np.ndarray, processor: str) -> dict:
    """Return curve, optimum and score of a map, by the library."""
    query, generated, source, target = pair
    predictions = {"original": evaluator.run_inference(query)[0]}
    results = evaluator.evaluate(
        query, generated, source, target, values, predictions, PROCESSORS[processor]()
    )
    report = Report()
    curve = report.interpolate_score_values(results["mask_sizes"], results["score_change"])
    return {
        "mask_sizes": np.array(results["mask_sizes"]),
        "score_change": results["score_change"],
        "optimal_threshold": results["optimal_threshold"],
        "mask": np.asarray(results["mask"], dtype=np.float32),
        "counterfactual_prob": predictions["counterfactual"],
        "curve": np.array(curve, dtype=np.float64),
        "quac_score": report.get_quac_score(curve),
    }


def pair_numbers(number: int, pair: tuple, state: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Return all numbers of one pair; keys begin with its number."""
    query, generated, source, target = pair
    numbers: dict[str, np.ndarray] = {}
    evaluator = Evaluator.__mro__[1](Network(state), device="cpu")
    images = torch.stack([query, generated])
    numbers["prob"] = evaluator.run_inference(images)
    with torch.no_grad():
        numbers["logits"] = Network(state)(images).numpy()
    script = ClassifierWrapper(torch.jit.script(Network(state)))  # as load_classifier returns it
    maps = {method.__name__: method(Network(state), normalize=False) for method in METHODS}
    maps["DDeepLift_torchscript"] = DDeepLift(script, normalize=False)
    # Captum's DeepLIFT adds up where no max pool follows a ReLU
    maps["DDeepLift_averages"] = DDeepLift(Network(state, averages=True), normalize=False)
    for name, method in maps.items():
        raw = method.attribute(query, generated, source, target, device="cpu")
        values = method._normalize(torch.from_numpy(raw)[None])[0].numpy()
        numbers[f"raw_{name}"] = raw
        if name.startswith("Vanilla"):
            continue
        for processor in (
            PROCESSORS if name in ("DIntegratedGradients", "DDeepLift") else ["default"]
        ):
            results = evaluate(evaluator, pair, values, processor)
            numbers |= {f"eval_{name}_{processor}_{key}": value for key, value in results.items()}
    values = method_values(numbers["raw_DIntegratedGradients"])
    masks = [Processor().create_mask(values, threshold) for threshold in MASK_THRESHOLDS]
    hard = [UnblurredProcessor().create_mask(values, t)[0] for t in MASK_THRESHOLDS]
    numbers["mask_blurred"] = np.array([mask for mask, _ in masks])
    numbers["mask_unblurred"] = np.packbits(np.array(hard, dtype=np.uint8))
    numbers["mask_size"] = np.array([size for _, size in masks])
    return {f"pair{number}_{key}": np.asarray(value) for key, value in numbers.items()}


def method_values(raw: np.ndarray) -> np.ndarray:
    """Return a map as the library normalizes it."""
    return DInGrad(nn.Identity())._normalize(torch.from_numpy(raw)[None])[0].numpy()


def run_pipeline(state: dict[str, Tensor], out: Path) -> None:
    """Write a result folder as the examples of the library do, and pack it."""
    for name in ("source", "generated"):
        shutil.copytree(FOLDER / name, out / name)
    network = Network(state)
    methods = {
        "DDeepLift": DDeepLift(network),
        "DIntegratedGradients": DIntegratedGradients(network),
    }
    AttributionIO(methods, str(out / "attributions")).run(
        str(out / "source"), str(out / "generated"), to_network_range, device="cpu"
    )
    reports = {}
    for name in methods:
        evaluator = Evaluator(
            network,
            str(out / "source"),
            str(out / "generated"),
            str(out / "attributions" / name),
            to_network_range,
            device="cpu",
            mask_directory=str(out / "masks" / name),
            counterfactual_directory=str(out / "counterfactuals" / name),
        )
        report = evaluator.quantify(Processor())
        report.name = "default_report"  # as in the examples of the library
        report.store(out / "reports" / name)
        median, low, high = report.get_curve()
        np.savez(out / "reports" / f"curve_{name}.npz", median=median, p25=low, p75=high)
        reports[name] = report
    merge_reports(reports, name="merged").store(out / "reports" / "merged")
    with zipfile.ZipFile(
        FOLDER / "pipeline.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
    ) as file:
        for path in sorted(out.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(out))


def run_stargan() -> None:
    """Write shapes of a StarGAN v2, and what it computes with seeded weights."""
    style = {"style_dim": 16, "num_domains": 3}
    images = {"img_size": 128, "max_conv_dim": 128, "input_dim": 1}
    networks = {
        "generator": stargan.Generator(style_dim=16, **images),
        "mapping_network": stargan.MappingNetwork(latent_dim=16, **style),
        "style_encoder": stargan.StyleEncoder(**style, **images),
    }
    shapes = {
        name: {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
        for name, network in networks.items()
    }
    for name, state in seeded_states(shapes).items():
        networks[name].load_state_dict(state)
    inputs = seeded_inputs()
    with torch.no_grad():
        latent = networks["mapping_network"](inputs["z"], inputs["y"])
        reference = networks["style_encoder"](inputs["r"], inputs["y"])
        images_of = {
            f"out_{name}": networks["generator"](inputs["x"], values).numpy()
            for name, values in (("latent", latent), ("ref", reference))
        }
    styles = {"style_latent": latent.numpy(), "style_ref": reference.numpy()}
    np.savez_compressed(FOLDER / "stargan.npz", **styles, **images_of)
    (FOLDER / "stargan.json").write_text(json.dumps(shapes))


def main() -> None:
    torch.set_num_threads(1)
    run_stargan()
    state = load_file(NETWORKS / "synapse_classifier.safetensors")
    classes = sorted(path.name for path in (FOLDER / "source").iterdir())
    numbers: dict[str, np.ndarray] = {
        "kernel": Processor().kernel,
        "interp_mask_values": Report().interp_mask_values,
        "thresholds": np.arange(-1, 1, 2 / 200),
        "mask_thresholds": np.array(MASK_THRESHOLDS),
    }
    for number, path in enumerate(sorted((FOLDER / "generated").glob("*/*/*.png"))):
        target, source = path.parent.name, path.parent.parent.name
        images = (FOLDER / "source" / source / path.name, path)
        query, generated = (to_network_range(read_image(image)) for image in images)
        pair = (query, generated, classes.index(source), classes.index(target))
        numbers |= pair_numbers(number, pair, state)
    np.savez_compressed(FOLDER / "pairs.npz", **numbers)
    with tempfile.TemporaryDirectory() as temporary:
        run_pipeline(state, Path(temporary) / "run")


if __name__ == "__main__":
    main()
