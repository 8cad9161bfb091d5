"""The weights of a checkpoint, whatever lies beside them, and the facts beside the weights."""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.generators.opening import inspect_network, load_classifier
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.checkpoint_facts import class_names_in, metadata_of
from napari_quac.networks.checkpoint_file import read_checkpoint
from rounding import F32

State = dict[str, Tensor]


def vgg(seed: int = 0) -> Vgg:
    torch.manual_seed(seed)
    return Vgg(1, [(4,), (8,)], [16, 3], (16, 16)).eval()


def prefixed(prefix: str, seed: int = 0) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in vgg(seed).state_dict().items()}


def optimizer() -> dict[str, Any]:
    network = vgg()
    adam = torch.optim.Adam(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    return adam.state_dict()


IMAGES = torch.rand(4, 1, 16, 16)
BESIDE_THE_WEIGHTS: dict[str, Callable[[], Any]] = {
    "scalar tensors": lambda: {
        "state_dict": prefixed(""), "best_acc1": torch.tensor(91.0), "loss": torch.tensor(0.1),
        "arch": "vgg",
    },
    "class weights": lambda: {"model_state_dict": prefixed(""), "class_weights": torch.ones(3)},
    "optimizer": lambda: {"epoch": 3, "model": prefixed("module."), "optimizer": optimizer()},
    "namespace and path": lambda: {
        "net": prefixed(""), "args": argparse.Namespace(lr=1, data=Path("a")),
    },
    "Lightning": lambda: {
        "pytorch-lightning_version": "2.5",
        "state_dict": {**prefixed("model."), "criterion.weight": torch.ones(3),
                       "val_acc.total": torch.tensor(3), "conf.confmat": torch.zeros(3, 3)},
        "hyper_parameters": argparse.Namespace(lr=1), "optimizer_states": [optimizer()],
        "callbacks": {"EarlyStopping": {"best": torch.tensor(1.0)}},
    },
    "any prefix": lambda: {"weights": prefixed("learner.my_net.backbone.")},
    "compiled, in DataParallel": lambda: prefixed("module._orig_mod."),
    "averaging": lambda: {**prefixed("module."), "n_averaged": torch.tensor(7)},
    "momentum encoder": lambda: {
        "state_dict": {**prefixed("module.encoder_q."), **prefixed("module.encoder_k.", 1),
                       "module.queue": torch.rand(3, 8), "module.queue_ptr": torch.zeros(1)},
    },
    "deep inside": lambda: {"checkpoint": {"trainer": [{"network": prefixed("")}]}},
    "list": lambda: [prefixed(""), {"epoch": 3}],
    "NumPy numbers": lambda: {"params": prefixed(""), "best": np.float64(1), "n": np.int64(3)},
    "half": lambda: {k: t.half() if t.is_floating_point() else t for k, t in prefixed("").items()},
}  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("case", list(BESIDE_THE_WEIGHTS))
def test_weights_are_used_whatever_lies_beside_them(tmp_path: Path, case: str, old: bool) -> None:
    path = tmp_path / "model.pth"
    torch.save(BESIDE_THE_WEIGHTS[case](), path, _use_new_zipfile_serialization=not old)
    with torch.no_grad():
        expected = vgg()(IMAGES).softmax(1)
    classifier = load_classifier(path, device="cpu", value_range=(0, 1))
    tolerance = 1e-2 if case == "half" else 1e-6
    assert torch.allclose(classifier.predict(IMAGES), expected, atol=tolerance)
    inspection = inspect_network(path)
    assert (inspection.role, inspection.problem) == ("classifier", None)


def test_outputs_of_contrastive_training_are_stated_as_features(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save(BESIDE_THE_WEIGHTS["momentum encoder"](), path)
    sentences = [a.sentence for a in load_classifier(path, device="cpu").assumptions]
    assert any("features, not classes" in sentence for sentence in sentences)
    assert any("'state_dict.module.encoder_q' are used" in sentence for sentence in sentences)


def test_plain_pickle_of_a_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"weights": vgg().state_dict()}))
    assert load_classifier(path, device="cpu").n_classes == 3


def weights_sentences(path: Path) -> list[str]:
    classifier = load_classifier(path, device="cpu")
    return [a.sentence for a in classifier.assumptions if a.kind == "weights"]


@pytest.mark.parametrize("name", ["ema", "model_ema", "state_dict_ema", "ema_state_dict", "swa"])
def test_averaged_weights_come_first_and_the_card_states_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": prefixed(""), name: prefixed("", 1)}, path)
    with torch.no_grad():
        expected = vgg(1)(IMAGES).softmax(1)
    classifier = load_classifier(path, device="cpu", value_range=(0, 1))
    assert torch.allclose(classifier.predict(IMAGES), expected, atol=F32)
    (sentence,) = weights_sentences(path)
    assert f"averaged ones under '{name}' are used" in sentence


def test_losses_are_a_note_and_a_second_network_an_assumption(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({**prefixed("net."), "criterion.weight": torch.ones(3)}, path)
    assert weights_sentences(path) == []
    assert "criterion.weight" in load_classifier(path, device="cpu").description["Notes"]
    torch.save({**prefixed("net."), "decoder.weight": torch.ones(3, 9)}, path)
    (sentence,) = weights_sentences(path)
    assert "'decoder.weight'" in sentence


def test_layers_after_a_known_network_are_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({**prefixed("backbone."), "head.weight": torch.ones(2, 3)}, path)
    with pytest.raises(CheckpointError, match="backbone"):
        load_classifier(path, device="cpu")


NAMES = ("low", "middle", "top")
CLASS_NAMES: dict[str, Any] = {
    "list": {"classes": list(NAMES)},
    "tuple": {"class_names": NAMES},
    "array": {"classes": np.array(NAMES)},
    "text": {"class_names": "low, middle, top"},
    "name to index": {"class_to_idx": {"top": 2, "low": 0, "middle": 1}},
    "name to NumPy index": {"class_to_idx": {n: np.int64(i) for i, n in enumerate(NAMES)}},
    "index to name": {"idx_to_class": {2: "top", 0: "low", 1: "middle"}},
    "text index to name": {"id2label": {"2": "top", "0": "low", "1": "middle"}},
    "name to index under another key": {"classes": {"top": 2, "low": 0, "middle": 1}},
    "hyperparameters": {"hyper_parameters": {"label_names": list(NAMES)}},
    "namespace": {"args": argparse.Namespace(classes=list(NAMES))},
    "deep inside": {"data": {"train": [{"vocab": list(NAMES)}]}},
    "labels of samples beside": {"labels": [0, 1, 2, 2, 1], "classes": list(NAMES)},
}


@pytest.mark.parametrize("case", list(CLASS_NAMES))
def test_class_names_in_any_usual_form(tmp_path: Path, case: str) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": prefixed(""), **CLASS_NAMES[case]}, path)
    assert load_classifier(path, device="cpu").class_names == NAMES


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"class_to_idx": {"a": 1, "b": 2, "c": 3}}, "do not count from 0"),
        ({"class_to_idx": {"a": 0, "b": 0, "c": 1}}, "do not count from 0"),
        ({"classes": ["a", "a", "b"]}, "two of them are equal"),
        ({"classes": ["a", "b"]}, "has 3 outputs"),
    ],
)
def test_names_that_do_not_fit_are_refused_with_a_sentence(
    tmp_path: Path, facts: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": prefixed(""), **facts}, path)
    classifier = load_classifier(path, device="cpu")
    assert classifier.is_nameless
    sentences = [a.sentence for a in classifier.assumptions if a.kind == "class names"]
    assert any(problem in sentence for sentence in sentences)


def test_class_names_of_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(prefixed(""), path, {"class_to_idx": json.dumps({"top": 2, "low": 0, "middle": 1})})
    assert load_classifier(path, device="cpu").class_names == NAMES


def test_class_names_of_torchscript(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    extra = {"id2label": json.dumps({"2": "top", "0": "low", "1": "middle"})}
    torch.jit.save(torch.jit.script(vgg()), str(path), _extra_files=extra)
    assert load_classifier(path, device="cpu").class_names == NAMES


BESIDE = {
    "classes.txt": "low\nmiddle\ntop\n",
    "labels.txt": "2: top\n0: low\n1: middle\n",
    "class_names.txt": "low 0\nmiddle 1\ntop 2\n",
    "class_to_idx.json": json.dumps({"top": 2, "low": 0, "middle": 1}),
    "model.json": json.dumps({"classes": NAMES}),
    "args.yaml": "lr: 0.1\nclasses: [low, middle, top]\n",
    "hparams.yaml": "hparams: !!python/object:argparse.Namespace\n  classes: [low, middle, top]\n",
}


@pytest.mark.parametrize("name", list(BESIDE))
def test_class_names_beside_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.pth"
    torch.save(prefixed(""), path)
    (tmp_path / name).write_text(BESIDE[name])
    classifier = load_classifier(path, device="cpu")
    assert classifier.class_names == NAMES
    assert any(f"those of '{name}'" in a.sentence for a in classifier.assumptions)


def test_hyperparameters_of_lightning_one_folder_up(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "epoch=3.ckpt"
    path.parent.mkdir()
    torch.save({"state_dict": prefixed("model.")}, path)
    (tmp_path / "hparams.yaml").write_text("classes: [low, middle, top]\nmean: 0.4\nstd: 0.2\n")
    classifier = load_classifier(path, device="cpu")
    assert classifier.class_names == NAMES
    assert classifier.preprocessing.mean == (0.4,)
    assert any("'hparams.yaml'" in a.sentence for a in classifier.assumptions)


def test_names_of_another_network_beside_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save(prefixed(""), path)
    (tmp_path / "classes.txt").write_text("a\nb\n")
    classifier = load_classifier(path, device="cpu")
    assert classifier.is_nameless
    assert any("'classes.txt'" in a.sentence for a in classifier.assumptions)


def test_facts_become_metadata(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    size, mean, std = np.int64(224), np.array([0.4]), torch.tensor([[[0.2]]])
    args = argparse.Namespace(arch="resnet18", img_size=size, mean=mean, std=std)
    torch.save({"state_dict": prefixed(""), "args": args, "loss": torch.tensor(0.3)}, path)
    metadata = read_checkpoint(path).metadata
    assert (metadata["architecture"], metadata["image_size"]) == ("resnet18", "224")
    assert json.loads(metadata["mean"]) == [0.4]
    assert json.loads(metadata["std"]) == pytest.approx([0.2])
    assert metadata_of({"input_size": [3, 224, 224]})["image_size"] == "[224, 224]"
    assert metadata_of({"mean": [123.7, 116.3, 103.5]})["value_range"] == "[0, 255]"
    assert class_names_in({"labels": [0, 1, 1, 0]}) is None


def test_whole_network_of_a_known_architecture_states_its_class(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"

    class Wrapped(Vgg):
        """A class of a notebook."""

    Wrapped.__qualname__ = "Wrapped"
    globals()["Wrapped"] = Wrapped
    network = vgg()
    network.__class__ = Wrapped
    torch.save(network, path)
    classifier = load_classifier(path, device="cpu", value_range=(0, 1))
    with torch.no_grad():
        expected = vgg()(IMAGES).softmax(1)
    assert torch.allclose(classifier.predict(IMAGES), expected, atol=F32)


def test_network_without_weights_names_its_content(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"epoch": 3, "\x1b[31mred": 1}, path)
    with pytest.raises(CheckpointError, match="holds no weights, but 'epoch', '�\\[31mred'"):
        load_classifier(path, device="cpu")
    torch.save(nn.CrossEntropyLoss(), path)
    with pytest.raises(CheckpointError, match="CrossEntropyLoss and no weights"):
        load_classifier(path, device="cpu")


class Normalize:
    """A transform, as torchvision and fastai have one."""

    def __init__(self) -> None:
        self.mean, self.std = torch.tensor([[[0.4]]]), [0.2]


def test_normalization_of_a_pickled_transform(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": prefixed(""), "transforms": {"train": [Normalize()]}}, path)
    preprocessing = load_classifier(path, device="cpu").preprocessing
    assert preprocessing.mean == pytest.approx((0.4,))
    assert preprocessing.std == (0.2,)


@pytest.mark.filterwarnings("ignore")
def test_quantized_network_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    quantized = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
    for content in (quantized, quantized.state_dict()):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match="quantized network, which has no gradients"):
            load_classifier(path, device="cpu")


def test_many_sparse_tensors_do_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    shape = (1 << 12, 1 << 12)
    index, number = torch.zeros(2, 1, dtype=torch.int64), torch.ones(1)
    sparse = [
        torch.sparse_coo_tensor(index, number, shape, check_invariants=True) for _ in range(20)
    ]
    torch.save({f"{n}.weight": tensor for n, tensor in enumerate(sparse)}, path)
    with pytest.raises(CheckpointError, match="sparse tensors are too large"):
        load_classifier(path, device="cpu")


class NormalizesInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = vgg()
        self.register_buffer("mean", torch.full((1, 1, 1, 1), 0.4))
        self.register_buffer("std", torch.full((1, 1, 1, 1), 0.2))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model((images - self.mean) / self.std)
        return logits


@pytest.mark.parametrize("form", ["state", "nested", "flat", "whole"])
def test_a_normalization_kept_as_buffers_is_used_and_said(tmp_path: Path, form: str) -> None:
    network = NormalizesInside().eval()
    state = network.state_dict()
    flat = {name.removeprefix("model."): tensor for name, tensor in state.items()}
    contents = {"state": state, "nested": {"state_dict": state}, "flat": flat, "whole": network}
    torch.save(contents[form], tmp_path / "a.pth")
    classifier = load_classifier(tmp_path / "a.pth")
    expected = network(IMAGES).softmax(dim=1)
    torch.testing.assert_close(classifier.predict(IMAGES), expected, atol=1e-5, rtol=0)
    sentences = [a.sentence for a in classifier.assumptions]
    assert any("normalize its images by its tensors" in sentence for sentence in sentences)
    assert not any("not used" in sentence for sentence in sentences)


def test_arrays_of_numpy_are_weights(tmp_path: Path) -> None:
    arrays = {name: tensor.numpy() for name, tensor in vgg().state_dict().items()}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(arrays))
    torch.save(arrays, tmp_path / "a.pth")
    for path in (tmp_path / "a.pkl", tmp_path / "a.pth"):
        predicted = load_classifier(path).predict(IMAGES)
        expected = vgg()(2 * IMAGES - 1).softmax(dim=1)
        torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("names", {0: "a", 1: "b", 2: "c"}),
        ("idx2class", {2: "c", 0: "a", 1: "b"}),
        ("label_to_idx", {"c": 2, "a": 0, "b": 1}),
        ("target_names", np.array(["a", "b", "c"])),
    ],
)
def test_further_names_of_class_names(tmp_path: Path, key: str, value: Any) -> None:
    torch.save({"model": vgg().state_dict(), key: value}, tmp_path / "a.pth")
    assert load_classifier(tmp_path / "a.pth").class_names == ("a", "b", "c")


def test_a_normalization_of_other_channels_is_omitted_with_a_sentence(tmp_path: Path) -> None:
    facts = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.2]}
    torch.save({"model": vgg().state_dict(), **facts}, tmp_path / "a.pth")
    classifier = load_classifier(tmp_path / "a.pth")
    expected = vgg()(2 * IMAGES - 1).softmax(dim=1)
    torch.testing.assert_close(classifier.predict(IMAGES), expected, atol=1e-5, rtol=0)
    assert any("network takes 1 channel" in a.sentence for a in classifier.assumptions)
