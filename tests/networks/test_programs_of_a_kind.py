"""Programs that take their images in another form, and answers that depend on more than an image.

Each network is written to a file as its owner would export it, and loaded like any other.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import pytest
import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.classifier_recipe import ClassifierRecipe, classifier_from_module
from napari_quac.networks.input_search import SEARCH_SECONDS, find_input
from napari_quac.networks.programs import load_torchscript
from rounding import F32

SIZE = 24


class Head(nn.Module):
    """One linear layer over all pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(SIZE * SIZE, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1))  # type: ignore[no-any-return]


class CastsInside(nn.Module):
    def __init__(self, dtype: torch.dtype, casts_back: bool) -> None:
        super().__init__()
        self.head = Head().to(dtype)
        self.dtype = dtype
        self.casts_back = casts_back

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.head(images.to(self.dtype))
        return outputs.to(torch.float32) if self.casts_back else outputs


class OnDevice(nn.Module):
    """A network with devices written into it, in a submodule and in a branch, too."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = OnCuda()

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.inner(images)
        if images.shape[0] > 2:
            outputs = outputs + torch.zeros(3, device=torch.device("cuda:1"))
        return outputs


class OnCuda(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = Head()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.to(torch.device("cuda:0")))  # type: ignore[no-any-return]


class OneImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = Head()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.reshape(1, -1))  # type: ignore[no-any-return]


class ChannelsAtTheEnd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images.permute(0, 3, 1, 2))
        return self.linear(maps.mean((2, 3)))  # type: ignore[no-any-return]


class SqueezedOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.conv(images))  # type: ignore[no-any-return]


class OverBatch(Head):
    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1)).softmax(0)  # type: ignore[no-any-return]


class CenteredBatch(Head):
    """An answer that depends on the batch, but is one of its own for a single image."""

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.linear(images.flatten(1))
        return outputs - 0.5 * outputs.max()  # type: ignore[no-any-return]


class Undefined(Head):
    """NaN on images of one gray value, which have no standard deviation."""

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.flatten(1)
        centered = pixels - pixels.mean(1, keepdim=True)
        return self.linear(centered / centered.square().sum(1, keepdim=True).sqrt())  # type: ignore[no-any-return]


class SigmoidOutputs(Head):
    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1)).sigmoid()  # type: ignore[no-any-return]


def script(module: nn.Module, folder: Path) -> Path:
    path = folder / "network.pt"
    torch.jit.script(module.eval()).save(str(path))
    return path


def images(n: int = 4, channels: int = 1) -> Tensor:
    return torch.rand((n, channels, SIZE, SIZE), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("casts_back", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_number_types_written_into_a_program_work(
    tmp_path: Path, dtype: torch.dtype, casts_back: bool
) -> None:
    network = CastsInside(dtype, casts_back)
    classifier = ClassifierRecipe(script(network, tmp_path)).load("cpu")
    expected = network(images() * 2 - 1).float().softmax(1)
    # the order of additions, and with it the rounding of half precision, differs between processors
    tolerance = max(1e-5, torch.finfo(dtype).eps)
    torch.testing.assert_close(classifier.predict(images()), expected, atol=tolerance, rtol=0)
    leaf = images().requires_grad_(True)
    (gradient,) = torch.autograd.grad(classifier.logits(leaf)[:, 0].sum(), leaf)
    assert gradient.abs().max() > 0


def test_half_weights_without_casts_are_converted(tmp_path: Path) -> None:
    network = Head().half()
    expected = Head()
    expected.load_state_dict({k: v.float() for k, v in network.state_dict().items()})
    classifier = ClassifierRecipe(script(network, tmp_path)).load("cpu")
    assert "32-bit" in classifier.description["Notes"]
    torch.testing.assert_close(
        classifier.predict(images()), expected(images() * 2 - 1).softmax(1), atol=1e-5, rtol=0
    )


def test_devices_written_into_a_program_are_replaced(tmp_path: Path) -> None:
    network = OnDevice()
    path = script(network, tmp_path)
    classifier = ClassifierRecipe(path).load("cpu")
    expected = network.inner.head(images() * 2 - 1).softmax(1)
    torch.testing.assert_close(classifier.predict(images()), expected)
    assert load_torchscript(path)(images()).device.type == "cpu"


@pytest.mark.parametrize(
    ("network", "channels", "note"),
    [
        (OneImage(), 1, "one image at a time"),
        (ChannelsAtTheEnd(), 3, "channels last"),
        (SqueezedOutput(), 1, "axes of length 1"),
    ],
)
def test_other_forms_of_input_and_output_are_adapted(
    tmp_path: Path, network: nn.Module, channels: int, note: str
) -> None:
    classifier = ClassifierRecipe(script(network, tmp_path)).load("cpu")
    assert note in classifier.description["Notes"]
    batch = images(3, channels)
    inputs = batch * 2 - 1
    if isinstance(network, ChannelsAtTheEnd):
        inputs = inputs.permute(0, 2, 3, 1)
    expected = torch.cat([network(image[None]).flatten(1) for image in inputs]).softmax(1)
    torch.testing.assert_close(classifier.predict(batch), expected, atol=F32, rtol=0)


def batch_norm_in_training(folder: Path) -> Path:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(1936, 3))
    path = folder / "network.pt"
    inputs = torch.rand(4, 1, SIZE, SIZE)
    torch.jit.trace(network.train(), inputs, check_trace=False).save(str(path))
    return path


@pytest.mark.filterwarnings("ignore")  # of the tracer, about the size of the batch
def test_batch_norm_in_training_mode_is_evaluated_image_by_image(tmp_path: Path) -> None:
    classifier = ClassifierRecipe(batch_norm_in_training(tmp_path)).load("cpu")
    kinds = [entry.kind for entry in classifier.assumptions]
    assert "evaluation" in kinds
    assert "one at a time" in classifier.description["Assumed"]
    together = classifier.predict(images(6))
    alone = torch.cat([classifier.predict(image[None]) for image in images(6)])
    torch.testing.assert_close(together, alone)
    with torch.no_grad():
        logits = classifier.logits(images(6))
    torch.testing.assert_close(logits.softmax(1), together, atol=F32, rtol=0)


def test_an_answer_that_depends_on_the_batch_is_evaluated_alone(tmp_path: Path) -> None:
    classifier = ClassifierRecipe(script(CenteredBatch(), tmp_path)).load("cpu")
    assert "evaluation" in [entry.kind for entry in classifier.assumptions]


@pytest.mark.parametrize("exported", [False, True])
def test_random_answers_are_refused_with_the_way_out(tmp_path: Path, exported: bool) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(SIZE * SIZE, 3)).train()
    path = tmp_path / ("network.pt2" if exported else "network.pt")
    if exported:
        torch.export.save(torch.export.export(network, (images(),)), str(path))
    else:
        torch.jit.trace(network, images(), check_trace=False).save(str(path))
    before = torch.get_rng_state()
    with pytest.raises(CheckpointError, match=r"another answer in each call .* model\.eval\(\)"):
        ClassifierRecipe(path).load("cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_softmax_over_the_batch_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="softmax over the batch"):
        ClassifierRecipe(script(OverBatch(), tmp_path)).load("cpu")


def test_modules_in_training_mode_are_switched_to_evaluation() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(SIZE * SIZE, 3)).train()
    classifier = classifier_from_module(network, ["a", "b", "c"], image_size=SIZE)
    assert "evaluation" not in [entry.kind for entry in classifier.assumptions]


def test_a_network_undefined_on_blank_images_is_accepted_with_a_note(tmp_path: Path) -> None:
    classifier = ClassifierRecipe(script(Undefined(), tmp_path)).load("cpu")
    assert "NaN" in classifier.description["Notes"]
    assert torch.isfinite(classifier.predict(images())).all()


def test_independent_outputs_stay_probabilities_of_their_own(tmp_path: Path) -> None:
    network = SigmoidOutputs()
    path = script(network, tmp_path)
    classifier = ClassifierRecipe(path).load("cpu")
    assert classifier.output == "independent probabilities"
    assert "output" in [entry.kind for entry in classifier.assumptions]
    expected = network(images() * 2 - 1)
    torch.testing.assert_close(classifier.predict(images()), expected)
    logits = classifier.logits(images())
    torch.testing.assert_close(
        logits, network.linear((images() * 2 - 1).flatten(1)), atol=1e-4, rtol=0
    )
    chosen = ClassifierRecipe(path, output="independent probabilities").load("cpu")
    assert "output" not in [entry.kind for entry in chosen.assumptions]


def test_logits_can_be_declared_independent(tmp_path: Path) -> None:
    network = Head()
    recipe = ClassifierRecipe(script(network, tmp_path), output="independent logits")
    expected = network(images() * 2 - 1).sigmoid()
    torch.testing.assert_close(recipe.load("cpu").predict(images()), expected)


class Checked(Head):
    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[1] == 7, "seven sections are needed"
        return self.linear(images.flatten(1))  # type: ignore[no-any-return]


class Indices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(256, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.table(images).mean((1, 2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("network", "words"),
    [(Checked(), "seven sections are needed"), (Indices(), "whole numbers")],
)
def test_errors_of_a_program_are_its_own(tmp_path: Path, network: nn.Module, words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as caught:
        ClassifierRecipe(script(network, tmp_path)).load("cpu")
    assert "usual image sizes" not in str(caught.value)


def test_a_missing_operator_is_named(tmp_path: Path) -> None:
    # the operator exists only as long as its library
    library = torch.library.Library("napari_quac_lab", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CompositeImplicitAutograd")

    class Foreign(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.ops.napari_quac_lab.twice(images).mean(3).mean(1)[:, :3]  # type: ignore[no-any-return]

    path = tmp_path / "network.pt"
    torch.jit.trace(Foreign(), images()).save(str(path))
    library._destroy()
    with pytest.raises(CheckpointError, match="napari_quac_lab::twice of another package"):
        load_torchscript(path)


def test_a_search_without_success_ends_in_time_and_names_what_was_tried() -> None:
    blocks: list[nn.Module] = [nn.Conv2d(1, 32, 3, padding=1)]
    for _ in range(6):
        blocks += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    network = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32 * 21 * 37, 3)).eval()
    shapes = [tuple(p.shape) for p in network.parameters()]
    begun = perf_counter()
    with pytest.raises(CheckpointError, match="Give the image size and channels"):
        find_input(network, "odd.pt", shapes)
    assert perf_counter() - begun < 20 * SEARCH_SECONDS  # far above, for busy machines


def test_log_odds_of_independent_outputs_are_their_logits(tmp_path: Path) -> None:
    from napari_quac.networks.fido.optimize import log_odds

    classifier = ClassifierRecipe(script(SigmoidOutputs(), tmp_path)).load("cpu")
    logits = classifier.logits(images())
    odds = log_odds(logits, 1, classifier.is_independent)
    torch.testing.assert_close(odds.sigmoid(), classifier.predict(images())[:, 1])


def test_independent_outputs_are_explained(tmp_path: Path) -> None:
    from napari_quac.data.dataset import Sample
    from napari_quac.explain.pair import make_pair
    from napari_quac.explain.pipeline import explain_pair
    from napari_quac.explain.settings import ExplainSettings

    classifier = ClassifierRecipe(script(SigmoidOutputs(), tmp_path)).load("cpu")
    query, generated = images(2)
    pair = make_pair(Sample("a", query), generated, 0, 1, classifier)
    settings = ExplainSettings().with_methods(("residual", "d-ig"))
    explanations = explain_pair(pair, classifier, settings).result()
    curve = explanations["residual"].curve
    change = classifier.predict(images(2))[1, 1] - classifier.predict(images(2))[0, 1]
    assert curve.score_changes[0] == pytest.approx(float(change), abs=1e-5)
    assert explanations["d-ig"].attribution.completeness is not None


def export(network: nn.Module, inputs: Tensor, folder: Path) -> Path:
    path = folder / "network.pt2"
    torch.export.save(torch.export.export(network.eval(), (inputs,)), str(path))
    return path


def test_an_exported_program_with_channels_last_is_adapted(tmp_path: Path) -> None:
    network = ChannelsAtTheEnd()
    path = export(network, images(2, 3).movedim(1, -1), tmp_path)
    classifier = ClassifierRecipe(path).load("cpu")
    assert (classifier.channels, classifier.image_size) == (3, (SIZE, SIZE))
    assert "channels last" in classifier.description["Notes"]
    expected = network((images(3, 3) * 2 - 1).movedim(1, -1)).softmax(1)
    torch.testing.assert_close(classifier.predict(images(3, 3)), expected, atol=F32, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_exported_weights_of_other_types_are_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    network = Head().to(dtype)
    classifier = ClassifierRecipe(export(network, images(2).to(dtype), tmp_path)).load("cpu")
    expected = network.float()(images() * 2 - 1).softmax(1)
    torch.testing.assert_close(classifier.predict(images()), expected, atol=1e-5, rtol=0)


class Bytes(Head):
    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.float().flatten(1) / 255)  # type: ignore[no-any-return]


@pytest.mark.skipif(
    torch.__version__ < "2.7", reason="this version of PyTorch compares no kinds of numbers"
)
def test_a_program_for_whole_numbers_is_told_to_be_one(tmp_path: Path) -> None:
    path = export(Bytes(), (images(2) * 255).byte(), tmp_path)
    with pytest.raises(CheckpointError, match="images of whole numbers"):
        ClassifierRecipe(path).load("cpu")


def test_a_missing_operator_of_an_exported_program_is_named(tmp_path: Path) -> None:
    library = torch.library.Library("napari_quac_lab2", "DEF")
    library.define("thrice(Tensor x) -> Tensor")
    for key in ("CPU", "Meta"):
        library.impl("thrice", torch.clone, key)

    class Foreign(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.ops.napari_quac_lab2.thrice(images).mean(3).mean(1)[:, :3]  # type: ignore[no-any-return]

    path = export(Foreign(), images(), tmp_path)
    library._destroy()
    with pytest.raises(CheckpointError, match="napari_quac_lab2::thrice of another package"):
        ClassifierRecipe(path).load("cpu")


class InTuple(Head):
    def forward(self, images: Tensor) -> tuple[Tensor]:  # type: ignore[override]
        return (self.linear(images.flatten(1)),)


class InDictionary(Head):
    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"logits": self.linear(images.flatten(1)), "features": images}


@pytest.mark.parametrize("network", [InTuple(), InDictionary()])
def test_logits_are_taken_out_of_a_container(tmp_path: Path, network: Head) -> None:
    expected = network.linear((images() * 2 - 1).flatten(1)).softmax(1)
    classifier = ClassifierRecipe(script(network, tmp_path)).load("cpu")
    assert (
        "are taken" in classifier.description["Notes"]
        or "is taken" in (classifier.description["Notes"])
    )
    torch.testing.assert_close(classifier.predict(images()), expected, atol=F32, rtol=0)
    exported = export(network, images(4), tmp_path)
    torch.testing.assert_close(
        ClassifierRecipe(exported).load("cpu").predict(images()), expected, atol=F32, rtol=0
    )


class ClassNumbers(Head):
    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1)).argmax(1)  # type: ignore[no-any-return]


def test_class_numbers_are_no_logits(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="without argmax"):
        ClassifierRecipe(script(ClassNumbers(), tmp_path)).load("cpu")


def test_logits_close_to_zero_are_no_probabilities(tmp_path: Path) -> None:
    head = Head()
    for parameter in head.parameters():
        parameter.data = parameter.data.abs() * 1e-9
    classifier = ClassifierRecipe(script(head, tmp_path)).load("cpu")
    assert classifier.output == "logits"
