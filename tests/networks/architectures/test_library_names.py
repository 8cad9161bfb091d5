"""State dicts with the names of other libraries become networks; equal weights, equal answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import library_states as states
import pytest
import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures import library_models
from napari_quac.networks.architectures.recognition import recognize_classifier
from napari_quac.networks.classifier_file import build_with_weights
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from rounding import F32

CASES: dict[str, tuple[Callable[[], states.State], str, tuple[int, ...]]] = {
    "vgg": (states.vgg11, "vgg-torchvision", (40, 48)),
    "alexnet": (states.alexnet, "alexnet", (70, 64)),
    "squeezenet 1.1": (states.squeezenet, "squeezenet", (40, 40)),
    "squeezenet 1.0": (lambda: states.squeezenet(7), "squeezenet", (40, 40)),
    "densenet": (states.densenet, "densenet", (32, 40)),
    "densenet before 0.4": (lambda: states.densenet(style="old"), "densenet", (32, 40)),
    "densenet of MONAI": (lambda: states.densenet(2, "MONAI"), "densenet", (32, 40)),
    "densenet of volumes": (lambda: states.densenet(3, "MONAI"), "densenet", (16, 16, 24)),
    "mobilenet": (states.mobilenet_v2, "mobilenet", (32, 40)),
    "efficientnet": (states.efficientnet, "efficientnet", (32, 40)),
    "efficientnet of timm": (lambda: states.efficientnet("timm"), "efficientnet", (32, 40)),
    "convnext of timm": (states.convnext, "convnext", (32, 40)),
    "convnext": (lambda: states.convnext("torchvision"), "convnext", (32, 40)),
    "convnext of its authors": (lambda: states.convnext("authors"), "convnext", (32, 40)),
    "vit of timm": (states.vision_transformer, "vit", (32, 32)),
    "vit": (lambda: states.vision_transformer("torchvision"), "vit", (32, 32)),
    "vit of transformers": (lambda: states.vision_transformer("transformers"), "vit", (32, 32)),
}


def built(state: states.State, **settings: object) -> nn.Module:
    layout = recognize_classifier(state, **settings)  # type: ignore[arg-type]
    assert layout is not None
    return build_with_weights(layout, state, Path("network.pth"))


def answers(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return network(images)


@pytest.mark.parametrize("case", CASES)
def test_network_is_built_from_names_and_shapes(case: str) -> None:
    make, name, size = CASES[case]
    state = make()
    layout = recognize_classifier(state)
    assert layout is not None
    assert (layout.name, layout.n_classes, layout.problem) == (name, 3, "")
    assert layout.image_size == (size if name == "vit" else None)
    assert layout.smallest_size <= min(size) + 32
    assert all(entry.kind == "architecture" for entry in layout.assumptions)
    assert len(layout.assumptions) == 1
    channels = layout.channels
    outputs = answers(built(state), torch.rand(2, channels, *size))
    assert outputs.shape == (2, 3)
    assert torch.isfinite(outputs).all()


@pytest.mark.parametrize(
    ("first", "second"),
    [("densenet", "densenet of MONAI"), ("densenet", "densenet before 0.4"),
     ("efficientnet", "efficientnet of timm"), ("convnext", "convnext of timm"),
     ("convnext", "convnext of its authors"), ("vit", "vit of timm")],
)  # fmt: skip
def test_names_of_libraries_mean_the_same(first: str, second: str) -> None:
    ours, theirs = (recognize_classifier(CASES[case][0]()) for case in (first, second))
    assert ours is not None
    assert theirs is not None
    # the layer normalization before the head of ConvNeXt is a part of the head in torchvision
    facts = [{**layout.parameters, "norms": None} for layout in (ours, theirs)]
    assert facts[0] == facts[1]
    shapes = [
        {name: tensor.shape for name, tensor in layout.build().state_dict().items()
         if name.split(".")[0] not in ("classifier", "head", "norm")}
        for layout in (ours, theirs)
    ]  # fmt: skip
    assert shapes[0] == shapes[1]
    images = torch.rand(2, 1, *CASES[first][2], generator=torch.Generator().manual_seed(3))
    if first != "efficientnet":  # whose tensors are made in another order
        pair = [answers(built(CASES[case][0]()), images) for case in (first, second)]
        torch.testing.assert_close(pair[0], pair[1], rtol=F32, atol=F32)


def test_attention_equals_that_of_torch() -> None:
    state = states.vision_transformer("torchvision")
    network = built(state)
    start = "encoder.layers.encoder_layer_0.self_attention."
    attention = nn.MultiheadAttention(64, 1, batch_first=True)
    attention.load_state_dict({
        name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)
    })  # fmt: skip
    tokens = torch.randn(2, 5, 64)
    block = network.blocks[0]
    with torch.no_grad():
        expected, _ = attention(tokens, tokens, tokens)
        torch.testing.assert_close(block.outputs(block._attend(tokens)), expected)


def test_heads_of_attention_are_read_from_the_configuration() -> None:
    state = states.vision_transformer("transformers")
    layout = recognize_classifier(
        state, metadata={"architecture_parameters": '{"num_attention_heads": 4}'}
    )
    assert layout is not None
    assert layout.parameters["n_heads"] == 4
    assert "attention heads" not in layout.assumptions[0].sentence


def test_padding_of_tensorflow_follows_from_the_name_of_the_architecture() -> None:
    state = states.efficientnet("timm")
    images = torch.rand(2, 1, 32, 32)
    usual = built(state, metadata={"architecture": "efficientnet_b0"})
    other = built(state, metadata={"architecture": "tf_efficientnet_b0"})
    assert not torch.allclose(answers(usual, images), answers(other, images))
    stem = other.stem
    with torch.no_grad():  # one row and one column of zeros at the end
        expected = nn.functional.conv2d(
            nn.functional.pad(images, (0, 1, 0, 1)), state["conv_stem.weight"], stride=2
        )
        torch.testing.assert_close(stem.conv(stem.pad(images)), expected)


def test_pooled_vgg_takes_any_size_but_small_ones(tmp_path: Path) -> None:
    torch.save(states.vgg11(), tmp_path / "vgg.pth")
    classifier = ClassifierRecipe(tmp_path / "vgg.pth").load("cpu")
    assert classifier.image_size is None
    assert classifier.predict(torch.rand(1, 1, 64, 48)).shape == (1, 3)
    with pytest.raises(CheckpointError, match="at least 32"):
        ClassifierRecipe(tmp_path / "vgg.pth", image_size=16).load("cpu")


def test_vision_transformer_states_its_size(tmp_path: Path) -> None:
    torch.save(states.vision_transformer(), tmp_path / "vit.pth")
    classifier = ClassifierRecipe(tmp_path / "vit.pth").load("cpu")
    assert classifier.image_size == (32, 32)
    assert not classifier.size_was_guessed
    with pytest.raises(CheckpointError, match="32 × 32"):
        ClassifierRecipe(tmp_path / "vit.pth", image_size=64).load("cpu")


@pytest.mark.parametrize("case", CASES)
def test_a_missing_tensor_is_never_made_up(case: str) -> None:
    state = CASES[case][0]()
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    for name in names[:: max(1, len(names) // 8)]:
        fewer = {other: tensor for other, tensor in state.items() if other != name}
        layout = recognize_classifier(fewer)
        if layout is None or name.startswith(("classifier", "head")):
            continue
        try:
            network = build_with_weights(layout, fewer, Path("network.pth"))
        except CheckpointError:
            continue
        # a bias may be missing: the network then has none
        loaded = sum(tensor.numel() for tensor in network.state_dict().values())
        assert loaded <= sum(tensor.numel() for tensor in state.values())


def test_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_models, "_import", lambda library: None)
    state = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2)).state_dict()
    for name, library in (("swin_t", "torchvision"), ("coat_tiny.in1k", "timm")):
        path = tmp_path / f"{library}.pth"
        torch.save({"state_dict": state, "arch": name}, path)
        with pytest.raises(CheckpointError, match=rf"{name[:6]}\w*, needs {library}: pip install"):
            ClassifierRecipe(path).load("cpu")


def test_parameters_of_a_file_never_reach_a_download() -> None:
    assert not library_models._PARAMETERS & {"pretrained", "checkpoint_path", "pretrained_cfg"}


def test_a_replaced_head_does_not_change_the_activations_of_the_body() -> None:
    state = states.efficientnet()
    width = state["classifier.1.weight"].shape[1]
    for name in ("classifier.1.weight", "classifier.1.bias"):
        del state[name]
    for number, (inputs, outputs) in ((0, (width, 4)), (2, (4, 3))):
        state[f"classifier.{number}.weight"] = torch.rand(outputs, inputs)
        state[f"classifier.{number}.bias"] = torch.rand(outputs)
    modules = list(built(state).modules())
    assert any(isinstance(module, nn.SiLU) for module in modules)
    assert not any(isinstance(module, nn.Hardswish) for module in modules)


def test_the_activation_of_a_configuration_is_built() -> None:
    config = json.dumps({"hidden_act": "relu"})
    network = built(states.vision_transformer(), metadata={"architecture_parameters": config})
    assert any(isinstance(module, nn.ReLU) for module in network.modules())
    assert not any(isinstance(module, nn.GELU) for module in network.modules())
