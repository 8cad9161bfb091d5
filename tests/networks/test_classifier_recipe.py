"""Classifiers from files of every kind: what is found out, and that they compute the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from napari_quac.data.preprocessing import PRESETS, Preprocessing
from napari_quac.errors import CheckpointError, OutOfMemoryError, ShapeError
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.classifier_recipe import ClassifierRecipe, classifier_from_module
from rounding import F32


class CornerClassifier(nn.Module):
    """Two classes by a weighted sum over all pixels, as in the worked examples."""

    def __init__(self, weights: Tensor, offset: float, factor: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("w", weights)
        self.offset = offset
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        value = (images * self.w).sum((1, 2, 3)) - self.offset
        return self.factor * torch.stack([-value, value], dim=1)


def corner() -> CornerClassifier:
    weights = torch.zeros(1, 8, 8)
    weights[0, 2, 2], weights[0, 2, 3], weights[0, 3, 2], weights[0, 3, 3] = 1, 0.75, 0.5, 0.25
    return CornerClassifier(weights, 1.25)


def two_squares() -> CornerClassifier:
    weights = torch.zeros(3, 32, 32)
    weights[0, 8:16, 8:16] = 4 / 64
    weights[1, 18:24, 20:26] = 2 / 36
    return CornerClassifier(weights, 3.0, 0.5)


def vgg(size: int = 16, channels: int = 1, seed: int = 0) -> Vgg:
    torch.manual_seed(seed)
    network = Vgg(channels, [(4, 4), (8, 8)], [16, 3], (size, size))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return network.eval()


class Ending(nn.Module):
    """A pooled classifier of any size whose outputs are of a given kind."""

    def __init__(self, ending: str, n_outputs: int = 3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, n_outputs)
        self.ending = ending

    def forward(self, images: Tensor) -> Tensor:
        logits = self.fc(torch.flatten(self.pool(self.conv(images)), 1))
        if self.ending == "softmax":
            return torch.softmax(logits, dim=1)
        if self.ending == "log_softmax":
            return torch.log_softmax(logits, dim=1)
        if self.ending == "sigmoid":
            return torch.sigmoid(logits)
        return logits


def script(module: nn.Module, path: Path, **extra: Any) -> Path:
    torch.jit.save(torch.jit.script(module.eval()), str(path), _extra_files=extra)
    return path


def test_worked_example_of_8_pixels(tmp_path: Path) -> None:
    classifier = ClassifierRecipe(
        script(corner(), tmp_path / "c.pt"), preprocessing=PRESETS["unit"]
    ).load("cpu")
    assert (classifier.channels, classifier.image_size) == (1, (8, 8))
    probability = classifier.predict(torch.zeros(1, 1, 8, 8))[0]
    np.testing.assert_allclose(probability, (0.92414182, 0.07585818), atol=F32)


def test_worked_example_of_three_channels_is_not_taken_for_one(tmp_path: Path) -> None:
    # one channel would fit by broadcasting
    classifier = ClassifierRecipe(
        script(two_squares(), tmp_path / "c.pt"), preprocessing=PRESETS["unit"]
    ).load("cpu")
    assert (classifier.channels, classifier.image_size) == (3, (32, 32))
    assert float(classifier.predict(torch.zeros(1, 3, 32, 32))[0, 1]) == pytest.approx(
        0.04742587, abs=F32
    )


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 32), (1, 28), (1, 50), (3, 16)])
def test_linear_layer_tells_channels_and_size(tmp_path: Path, channels: int, size: int) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, 2))
    classifier = ClassifierRecipe(script(network, tmp_path / "c.pt")).load("cpu")
    assert (classifier.channels, classifier.image_size) == (channels, (size, size))


@pytest.mark.parametrize(("channels", "size"), [(1, 128), (3, 64), (1, 96), (1, 72)])
def test_torchscript_size_follows_from_its_head(tmp_path: Path, channels: int, size: int) -> None:
    network = Vgg(channels, [(4,), (4,), (4,)], [8, 3], (size, size))
    classifier = ClassifierRecipe(script(network, tmp_path / "c.pt")).load("cpu")
    assert (classifier.channels, classifier.image_size) == (channels, (size, size))


@pytest.mark.parametrize(
    ("ending", "n_outputs", "output"),
    [
        ("", 3, "logits"),
        ("softmax", 3, "probabilities"),
        ("log_softmax", 3, "log-probabilities"),
        ("", 1, "binary logit"),
        ("sigmoid", 1, "binary probability"),
    ],
)
def test_kind_of_output_is_guessed_and_brought_to_probabilities(
    tmp_path: Path, ending: str, n_outputs: int, output: str
) -> None:
    network = Ending(ending, n_outputs).eval()
    classifier = ClassifierRecipe(
        script(network, tmp_path / "c.pt"), preprocessing=PRESETS["unit"]
    ).load("cpu")
    assert classifier.output == output
    assert classifier.image_size is None
    images = torch.rand(5, 1, 40, 40)
    with torch.no_grad():
        logits = Ending("", n_outputs).eval()(images)
    if n_outputs == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(classifier.predict(images), logits.softmax(1), atol=F32, rtol=0)


def test_output_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = script(Ending("", 1), tmp_path / "one.pt")
    with pytest.raises(CheckpointError, match=r"'one\.pt' has one output, so they cannot be"):
        ClassifierRecipe(path, output="logits").load("cpu")


def test_nothing_is_known_until_it_is_said(tmp_path: Path) -> None:
    classifier = ClassifierRecipe(script(vgg(), tmp_path / "c.pt")).load("cpu")
    assert classifier.class_names == ("class 0", "class 1", "class 2")
    assert classifier.preprocessing.value_range == (-1, 1)
    assert "assumed" in classifier.description["Preprocessing"]
    kinds = [assumption.kind for assumption in classifier.assumptions]
    assert kinds == ["input range", "class names", "image size", "output"]
    assert all(str(text) in classifier.description["Assumed"] for text in classifier.assumptions)


def test_what_the_file_says_is_used_unless_said_otherwise(tmp_path: Path) -> None:
    metadata = {"class_names": json.dumps(["a", "b", "c"]), "range": "[0, 1]"}
    scripted = script(vgg(), tmp_path / "c.pt", **metadata)
    save_file(vgg().state_dict(), tmp_path / "c.safetensors", metadata)
    torch.save({"state_dict": vgg().state_dict(), "class_names": ["a", "b", "c"],
                "value_range": [0.0, 1.0]}, tmp_path / "d.pt")  # fmt: skip
    for path in (scripted, tmp_path / "c.safetensors", tmp_path / "d.pt"):
        classifier = ClassifierRecipe(path).load("cpu")
        assert classifier.class_names == ("a", "b", "c")
        assert classifier.preprocessing.value_range == (0, 1)
        told = ClassifierRecipe(path, class_names=("x", "y", "z"), preprocessing=PRESETS["quac"])
        told = told.load("cpu")
        assert told.class_names == ("x", "y", "z")
        assert told.preprocessing.value_range == (-1, 1)


def save_plain(state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path)


def save_old(state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_safetensors(state: dict[str, Tensor], path: Path) -> None:
    save_file(state, path)


def save_data_parallel(state: dict[str, Tensor], path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)


def save_lightning(state: dict[str, Tensor], path: Path) -> None:
    torch.save({"state_dict": {f"model.{k}": v for k, v in state.items()}}, path)


def save_compiled(state: dict[str, Tensor], path: Path) -> None:
    torch.save({f"module._orig_mod.{k}": v for k, v in state.items()}, path)


def save_training(state: dict[str, Tensor], path: Path) -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(2))])
    torch.save(
        {
            "model_state_dict": state,
            "optimizer_state_dict": optimizer.state_dict(),
            "loss": np.float64(0.25),
            "accuracy": np.float32(0.5),
            "step": np.int64(7),
        },
        path,
    )


def save_averaged(state: dict[str, Tensor], path: Path) -> None:
    torch.save(
        {
            "model_state_dict": vgg(seed=5).state_dict(),
            "model_ema_state_dict": {
                "n_averaged": torch.tensor(3),
                **{f"module.{k}": v for k, v in state.items()},
            },
        },
        path,
    )


def save_half(state: dict[str, Tensor], path: Path) -> None:
    torch.save({k: v.double() if v.is_floating_point() else v for k, v in state.items()}, path)


def save_without_counters(state: dict[str, Tensor], path: Path) -> None:
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path)


@pytest.mark.parametrize(
    "save",
    [
        save_plain,
        save_old,
        save_safetensors,
        save_data_parallel,
        save_lightning,
        save_compiled,
        save_training,
        save_averaged,
        save_half,
        save_without_counters,
    ],
)
def test_state_dict_in_any_wrapping_gives_the_same_network(
    tmp_path: Path, save: Callable[[dict[str, Tensor], Path], None]
) -> None:
    network, path = vgg(), tmp_path / "misleading.png"
    save(network.state_dict(), path)
    classifier = ClassifierRecipe(path, preprocessing=PRESETS["unit"]).load("cpu")
    assert classifier.form == "eager"
    assert classifier.image_size == (16, 16)
    images = torch.rand(3, 1, 16, 16)
    with torch.no_grad():
        expected = network(images)
        torch.testing.assert_close(classifier.logits(images), expected)
    torch.testing.assert_close(classifier.predict(images), expected.softmax(1), atol=F32, rtol=0)


def export(module: nn.Module, images: Tensor, path: Path, dynamic: bool) -> Path:
    batch = torch.export.Dim("batch", min=1, max=4)
    shapes = ({0: batch},) if dynamic else None
    torch.export.save(torch.export.export(module, (images,), dynamic_shapes=shapes), path)
    return path


@pytest.mark.parametrize(("dynamic", "n_exported"), [(True, 2), (False, 1), (False, 3)])
def test_exported_program_takes_any_batch_and_has_gradients(
    tmp_path: Path, dynamic: bool, n_exported: int
) -> None:
    network = vgg()
    path = export(network, torch.rand(n_exported, 1, 16, 16), tmp_path / "c.pt2", dynamic)
    classifier = ClassifierRecipe(path, preprocessing=PRESETS["unit"]).load("cpu")
    assert (classifier.form, classifier.channels, classifier.image_size) == (
        "exported",
        1,
        (16, 16),
    )
    assert "DeepLIFT" in classifier.description["Cannot compute"]
    classifier.module.eval()
    for n in (1, 2, 3, 7):
        images = torch.rand(n, 1, 16, 16, requires_grad=True)
        logits = classifier.logits(images)
        torch.testing.assert_close(logits, network(images), atol=F32, rtol=F32)
        (gradient,) = torch.autograd.grad(logits[:, 0].sum(), images)
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".png"])
def test_exported_program_is_known_by_its_content(tmp_path: Path, suffix: str) -> None:
    path = export(vgg(), torch.rand(1, 1, 16, 16), tmp_path / "c.pt2", False)
    path = path.rename(tmp_path / f"c{suffix}")
    assert ClassifierRecipe(path).load("cpu").form == "exported"


def test_parameters_need_no_gradients_and_dropout_is_off(tmp_path: Path) -> None:
    network = vgg().train()
    torch.jit.save(torch.jit.script(network), str(tmp_path / "c.pt"))
    torch.save(network.state_dict(), tmp_path / "s.pt")
    for name in ("c.pt", "s.pt"):
        classifier = ClassifierRecipe(tmp_path / name).load("cpu")
        assert not classifier.module.training
        assert not any(p.requires_grad for p in classifier.module.parameters())
        images = torch.rand(2, 1, 16, 16)
        torch.testing.assert_close(classifier.logits(images), classifier.logits(images))


def test_card_says_what_can_be_computed(tmp_path: Path) -> None:
    scripted = ClassifierRecipe(script(vgg(), tmp_path / "c.pt")).load("cpu")
    assert "D-IG" in scripted.description["Can compute"]
    assert "DeepLIFT" not in scripted.description["Can compute"]
    assert "under its own name" in scripted.description["Cannot compute"]
    torch.save(vgg().state_dict(), tmp_path / "s.pt")
    eager = ClassifierRecipe(tmp_path / "s.pt").load("cpu")
    assert "D-DeepLIFT" in eager.description["Can compute"]
    assert eager.description["Kind"] == "vgg2d"


def test_recipe_takes_what_json_gives(tmp_path: Path) -> None:
    path = script(vgg(), tmp_path / "c.pt")
    recipe = ClassifierRecipe(str(path), class_names=["a", "b", "c"])  # type: ignore[arg-type]
    assert recipe == ClassifierRecipe(path, class_names=("a", "b", "c"))
    assert hash(recipe) == hash(ClassifierRecipe(path, None, ("a", "b", "c")))


def test_any_function_is_a_classifier() -> None:
    classifier = classifier_from_module(
        lambda images: torch.cat([images.mean((2, 3)), images.amax((2, 3))], dim=1),
        ["mean", "maximum"],
        value_range=(0, 1),
    )
    assert classifier.form == "callable"
    assert classifier.predict(torch.rand(3, 1, 9, 9)).shape == (3, 2)


def test_module_from_a_notebook_is_made_ready() -> None:
    classifier = classifier_from_module(vgg().train(), ["a", "b", "c"], image_size=16)
    assert classifier.image_size == (16, 16)
    assert not classifier.module.training
    with pytest.raises(CheckpointError, match="3 outputs, but 2 class names"):
        classifier_from_module(vgg(), ["a", "b"], image_size=16)
    with pytest.raises(CheckpointError, match="does not take images"):
        classifier_from_module(vgg(), ["a", "b", "c"], image_size=17, channels=2)


def test_network_without_gradients_says_so(tmp_path: Path) -> None:
    classifier = classifier_from_module(
        lambda images: torch.stack([images.detach().mean((1, 2, 3))] * 2, dim=1), ["a", "b"]
    )
    assert classifier.description["Can compute"] == "residual, random"


@pytest.mark.long
@pytest.mark.parametrize("form", ["script", "weights"])
def test_lack_of_memory_in_a_trial_is_no_fault_of_the_file(tmp_path: Path, form: str) -> None:
    path = tmp_path / "network.pt"
    if form == "script":
        torch.jit.trace(corner(), torch.zeros(1, 1, 8, 8)).save(str(path))
    else:
        torch.save(vgg().state_dict(), path)
    recipe = ClassifierRecipe(path)
    calls: list[str] = []
    fail_at = depth = 0

    def begin(module: nn.Module, inputs: Any) -> None:
        nonlocal depth
        depth += 1
        if depth == 1:
            calls.append("")
            if len(calls) == fail_at:
                raise MemoryError if is_python else RuntimeError("can't allocate memory")

    def end(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal depth
        depth = max(0, depth - 1)

    with ExitStack() as hooks:
        hooks.enter_context(register_module_forward_pre_hook(begin))
        hooks.enter_context(register_module_forward_hook(end, always_call=True))
        n_axes, n_told = recipe.load("cpu").n_axes, 0
        for fail_at, is_python in product(range(1, len(calls) + 1), (True, False)):  # noqa: B007
            calls.clear()
            depth = 0
            try:
                classifier = recipe.load("cpu")
            except OutOfMemoryError as error:
                assert str(error).startswith("Memory ran out while 'network.pt'")
                n_told += 1
            else:
                assert (
                    classifier.n_axes == n_axes and "D-IG" in classifier.description["Can compute"]
                )
    assert n_told


def test_a_failing_trial_of_the_right_size_states_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    torch.save(vgg().state_dict(), path)

    def fail(module: nn.Module, inputs: Any) -> None:
        raise RuntimeError("the kernel is missing")

    with register_module_forward_pre_hook(fail):
        with pytest.raises(
            CheckpointError, match=r"fails for images of .* \(the kernel is missing"
        ):
            ClassifierRecipe(path).load("cpu")


def test_guessed_size_gives_way_to_that_of_the_images(tmp_path: Path) -> None:
    # 50 pixels halved three times leave 6 positions, as 48 do
    path = script(Vgg(1, [(4,), (4,), (4,)], [8, 3], (50, 50)), tmp_path / "c.pt")
    classifier = ClassifierRecipe(path).load("cpu")
    assert classifier.image_size == (48, 48)
    with pytest.raises(ShapeError, match="48 × 48"):
        classifier.check_image((1, 64, 64))
    classifier.check_image((1, 50, 50))
    assert classifier.image_size == (50, 50)
    with pytest.raises(ShapeError, match="50 × 50"):
        classifier.check_image((1, 48, 48))
    told = ClassifierRecipe(path, image_size=48).load("cpu")
    with pytest.raises(ShapeError, match="48 × 48"):
        told.check_image((1, 50, 50))


def test_a_resize_that_the_network_cannot_take_is_refused_in_words() -> None:
    class Dense(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(32 * 32, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.linear(images.flatten(1))

    classifier = classifier_from_module(Dense(), ("a", "b"), image_size=32)
    smaller = classifier.with_preprocessing(Preprocessing(resize=8))
    with pytest.raises(ShapeError, match=r"cannot run on images of 32 × 32.*Correct its resize"):
        smaller.predict(torch.rand(1, 1, 32, 32))
