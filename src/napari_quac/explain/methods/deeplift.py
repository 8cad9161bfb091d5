"""DeepLIFT with the rescale rule for eager networks, complete also through max pooling.

The query and the reference run through the network side by side, as the two halves of one batch.
While they do, nonlinear functions are replaced by ones whose backward pass hands on the multiplier
in place of the gradient. The network itself is not touched (no hooks), functional activations and
activations that are used twice are covered, and an operation without a rule is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode, resolve_name

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods.gradients import logit_gradient
from napari_quac.explain.pair import Pair, Side, gray_reference, orient_pair
from napari_quac.networks.classifier import Classifier

GRADIENT_TIMES_DIFFERENCE = "gradient × difference"


@dataclass(frozen=True, slots=True)
class DiscriminativeDeepLift:
    """DeepLIFT of the source class, with the generated image as the reference.

    Attributes
    ----------
    direction : "query" or "generated"
        Which image is attributed; the generated image is attributed for the target class.
    """

    label: ClassVar[str] = "D-DeepLIFT"
    group: ClassVar[str] = "discriminative"
    short: ClassVar[str] = "DeepLIFT"
    colors: ClassVar[tuple[str, str]] = ("#457ec2", "#0a2e60")
    direction: Side = "query"

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the map; see :func:`deeplift_or_fallback`."""
        return deeplift_or_fallback(orient_pair(pair, self.direction), classifier)


@dataclass(frozen=True, slots=True)
class VanillaDeepLift:
    """DeepLIFT of the source class, with a gray image as the reference.

    Attributes
    ----------
    baseline : float
        Value of the gray image; 0 is black, 1 is white.
    """

    label: ClassVar[str] = "DeepLIFT"
    group: ClassVar[str] = "vanilla"
    short: ClassVar[str] = "DeepLIFT"
    colors: ClassVar[tuple[str, str]] = ("#457ec2", "#0a2e60")
    of_query_alone: ClassVar[bool] = True
    baseline: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the map; see :func:`deeplift_or_fallback`."""
        return deeplift_or_fallback(gray_reference(pair, self.baseline), classifier)


def deeplift_or_fallback(pair: Pair, classifier: Classifier) -> SignedMap:
    """Return DeepLIFT, or gradient × difference if the activations are not accessible.

    Parameters
    ----------
    pair : Pair
        The query is attributed for the source, with the generated image as the reference.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    SignedMap
        Sums to the difference of the logits. For TorchScript, whose activations cannot be
        replaced, it is ``∇ℓ(x) ⊙ (x − b)``, without an expected sum and with its name in
        ``computed_as``; the QuAC library names that DeepLIFT.

    Raises
    ------
    MethodUnavailableError
        If the network contains an operation without a rule, or is not an eager module.
    """
    inputs = classifier.attribution_inputs(torch.stack([pair.query.image, pair.generated]))
    if classifier.form == "torchscript":
        gradient = logit_gradient(inputs[:1], pair.source, classifier)[0]
        return SignedMap(gradient * (inputs[0] - inputs[1]), computed_as=GRADIENT_TIMES_DIFFERENCE)
    if classifier.form == "exported":
        raise MethodUnavailableError(
            f"DeepLIFT cannot be computed on the exported program {classifier.name}. Choose D-IG, "
            "or load the network's state dict."
        )
    if not classifier.preprocessing.is_linear:
        raise MethodUnavailableError(
            "DeepLIFT has no rule for this preprocessing "
            f"({classifier.preprocessing}). Choose D-IG, which accepts all operations."
        )
    # in float64 wherever there is a network to copy: at a near tie in a max pool, float32's last
    # bit would decide which pixel is credited (3.5e-3 of the range was seen)
    precise = classifier.can_be_precise()
    inputs = inputs.to(classifier.device, torch.float64 if precise else torch.float32)
    values, difference = deeplift(
        lambda both: classifier.network_evidence(both, precise),
        inputs[:1],
        inputs[1:],
        pair.source,
        classifier.evidence_inputs,
    )
    return SignedMap(values[0].float().cpu(), logit_difference=float(difference[0]))


SMALLEST_DIFFERENCE = 1e-6
LARGEST_GAP = 0.01  # of the sum of all absolute values; rounding stays below 1e-4


def deeplift(
    logits: Callable[[Tensor], Tensor],
    images: Tensor,
    references: Tensor,
    class_index: int,
    preprocess: Callable[[Tensor], Tensor] = lambda images: images,
) -> tuple[Tensor, Tensor]:
    r"""Attribute the difference of a logit between images and references to the pixels.

    Parameters
    ----------
    logits : callable
        (N, C, *S) Tensor to (N, K) Tensor, made of torch operations on eager modules.
    images, references : (N, C, *S) Tensor, float32
        The images.
    class_index : int
        Class of the logit.
    preprocess : callable
        Linear steps before ``logits``.

    Returns
    -------
    values : (N, C, *S) Tensor
        Sum over the pixels of each image: its element of ``difference``.
    difference : (N,) Tensor, float64
        Logit of the image minus logit of the reference.

    Raises
    ------
    MethodUnavailableError
        If an operation has no rule, such as a product of two activations, or part of the network
        cannot be entered, such as TorchScript within a module.

    References
    ----------
    .. [1] Shrikumar, Greenside, Kundaje, "Learning important features through propagating
       activation differences", ICML 2017.
    """
    n = len(images)
    with torch.enable_grad():
        both = torch.cat([images, references]).detach().requires_grad_()
        inputs = preprocess(both)
        with _RescaleRule():
            outputs = logits(inputs)
        (gradients,) = torch.autograd.grad(outputs[:n, class_index].sum(), both)
    values = gradients[:n] * (images - references)
    evidence = outputs.detach()[:, class_index].double()
    difference = evidence[:n] - evidence[n:]
    _check_sum(values, difference, float(evidence.abs().max()))
    return values, difference


def _check_sum(values: Tensor, difference: Tensor, largest_logit: float) -> None:
    """Refuse an incomplete attribution: some part of the network bypassed the rules."""
    sums = values.detach().double().flatten(1)
    gap = (sums.sum(dim=1) - difference).abs()
    if (gap > LARGEST_GAP * sums.abs().sum(dim=1) + 1e-4 * largest_logit).any():
        raise MethodUnavailableError(
            f"DeepLIFT misses {float(gap.max()):.3g} of the difference of the logits, as part of "
            "the network cannot be entered (TorchScript within a module). Choose D-IG."
        )


class _RescaleRule(TorchFunctionMode):
    """Rules for nonlinear functions; linear ones pass, and all others are refused."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        factors = _tensors_with_gradient([*args, *kwargs.values()])
        if not factors:
            return func(*args, **kwargs)
        name = _short_name(func)
        if name in _ELEMENTWISE:
            return _rescaled(func, args, kwargs)
        if name in _DIVISION and not _tensors_with_gradient([*args[1:], *kwargs.values()]):
            return func(*args, **kwargs)
        if name in _MAX_POOLING:
            return _rescaled_max_pooling(_MAX_POOLING[name], args, kwargs)
        if name in _LINEAR or (name in _LINEAR_IF_ONE_FACTOR and len(factors) == 1):
            return func(*args, **kwargs)
        if name in _LINEAR_IN_EVAL and not _training(name, args, kwargs):
            return func(*args, **kwargs)
        raise MethodUnavailableError(
            f"DeepLIFT has no rule for the operation '{name}' in this network. Choose D-IG, which "
            "accepts all operations."
        )


def _short_name(func: Callable[..., Any]) -> str:
    name: str = resolve_name(func) or getattr(func, "__name__", repr(func))
    return name.removesuffix(".__get__").rsplit(".", 1)[-1].strip("_").removeprefix("_")


def _tensors_with_gradient(values: Any) -> list[Tensor]:
    tensors = []
    for argument in values:
        if isinstance(argument, Tensor):
            # weights are constants here, even if they are trainable
            if argument.requires_grad and not isinstance(argument, torch.nn.Parameter):
                tensors.append(argument)
        elif isinstance(argument, list | tuple):
            tensors += _tensors_with_gradient(argument)
    return tensors


def _training(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return True for a batch norm or dropout call in training mode."""
    position = {"batch_norm": 5}.get(name, 2)
    default = name != "batch_norm"
    return bool(kwargs.get("training", args[position] if len(args) > position else default))


class _Rescale(torch.autograd.Function):
    """Identity in value; the backward pass multiplies by Δout / Δin of image and reference."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, outputs: Tensor, slope: Tensor) -> Tensor:
        n = len(inputs) // 2
        change_in = inputs[:n] - inputs[n:]
        change_out = outputs[:n] - outputs[n:]
        small = change_in.abs() < SMALLEST_DIFFERENCE
        safe = torch.where(small, torch.ones_like(change_in), change_in)
        ctx.save_for_backward(torch.where(small, slope[:n], change_out / safe))
        return outputs.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (multiplier,) = ctx.saved_tensors
        n = len(multiplier)
        gradient = gradients[0]
        passed = torch.cat([gradient[:n] * multiplier, torch.zeros_like(gradient[n:])])
        return passed, None, None


def _rescaled(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    inputs, *rest = args if args else (kwargs.pop("input"),)
    detached = inputs.detach().clone().requires_grad_()
    with torch.enable_grad():
        # a copy, since an activation in place would change the leaf
        outputs = func(detached.clone(), *rest, **kwargs)
        (slope,) = torch.autograd.grad(outputs.sum(), detached)
    rescaled: Tensor = _Rescale.apply(inputs, outputs.detach(), slope)
    # later operations may look at the tensor that was changed in place
    return inputs.copy_(rescaled) if _in_place(func, kwargs) else rescaled


def _in_place(func: Callable[..., Any], kwargs: dict[str, Any]) -> bool:
    name = getattr(func, "__name__", "")
    return bool(kwargs.get("inplace")) or (name.endswith("_") and not name.endswith("__"))


class _RescaleMaxPooling(torch.autograd.Function):
    """Max pooling whose multipliers add up to the change of the maxima, window by window."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, outputs: Tensor, positions: Tensor) -> Tensor:
        ctx.save_for_backward(inputs.detach(), outputs.detach(), positions)
        return outputs.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, outputs, positions = ctx.saved_tensors
        n = len(inputs) // 2
        gradient = gradients[0][:n]
        top_image, top_reference = outputs[:n], outputs[n:]
        top = torch.maximum(top_image, top_reference)
        spatial = inputs.shape[2:]
        contributions = torch.zeros_like(inputs[:n]).flatten(2)
        for places, change in (
            (positions[:n], top - top_reference),
            (positions[n:], top_image - top),
        ):
            contributions.scatter_add_(2, places.flatten(2), (gradient * change).flatten(2))
        change = (inputs[:n] - inputs[n:]).flatten(2)
        small = change.abs() < torch.finfo(change.dtype).tiny
        multiplier = torch.where(
            small, torch.zeros_like(change), contributions / change.masked_fill(small, 1)
        ).unflatten(2, spatial)
        return torch.cat([multiplier, torch.zeros_like(multiplier)]), None, None


def _rescaled_max_pooling(
    pool: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    inputs, *rest = args if args else (kwargs.pop("input"),)
    options = {key: option for key, option in kwargs.items() if key != "return_indices"}
    outputs, positions = pool(inputs.detach(), *rest, **options, return_indices=True)
    rescaled: Tensor = _RescaleMaxPooling.apply(inputs, outputs, positions)
    return rescaled


_ELEMENTWISE = frozenset(
    "relu relu6 leaky_relu elu celu selu gelu silu mish sigmoid tanh softplus softsign hardtanh "
    "hardswish hardsigmoid logsigmoid tanhshrink threshold clamp clamp_min clip abs exp log "
    "square sqrt erf rrelu prelu".split()
)
_MAX_POOLING = {
    f"{prefix}max_pool{dim}d{suffix}": getattr(F, f"{prefix}max_pool{dim}d")
    for prefix in ("", "adaptive_")
    for dim in (1, 2, 3)
    for suffix in ("", "_with_indices")
}
_LINEAR = frozenset(
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "flatten unflatten view reshape permute transpose t T mT squeeze unsqueeze contiguous clone "
    "detach to float double type cat concat concatenate stack chunk split tensor_split getitem "
    "narrow select unbind movedim moveaxis expand expand_as repeat roll flip pad interpolate "
    "upsample mean sum neg negative add iadd radd sub isub rsub subtract pixel_shuffle "
    "pixel_unshuffle channel_shuffle identity alias cpu cuda requires_grad shape size dim ndim "
    "numel device dtype len layout is_cuda data is_floating_point is_complex is_sparse is_meta "
    "is_quantized is_nested stride is_contiguous storage_offset type_as requires_grad_ get_device "
    "view_as reshape_as".split()
)
_LINEAR_IF_ONE_FACTOR = frozenset(
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d mul imul rmul "
    "multiply matmul rmatmul mm bmm addmm einsum".split()
)
_DIVISION = frozenset("div divide true_divide truediv itruediv".split())
_LINEAR_IN_EVAL = frozenset(
    "batch_norm dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout "
    "feature_dropout".split()
)
