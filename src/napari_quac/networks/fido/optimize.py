"""Find the smallest decisive region of an image, by gradient descent on a random mask."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from threading import Event

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.errors import MethodUnavailableError, NotFiniteError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.fido.settings import FidoSettings, Infill, MaskState, priced
from napari_quac.stepwise import Progress, stepwise

SHOW_EVERY = 10  # steps
N_CHECKS = 20  # draws for the agreement
REGION_TOLERANCE = 1e-3  # share of the image that may change sides in ten steps at convergence
BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8
EPSILON = 1e-6  # float32 distinguishes 1 - 1e-6 from 1, which is all that the logarithms need
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@stepwise
def optimize_mask(
    query: Tensor,
    source: int,
    target: int,
    classifier: Classifier,
    infill: Infill,
    settings: FidoSettings | None = None,
    start: MaskState | None = None,
) -> Generator[Progress, None, MaskState]:
    r"""Optimize a mask of the query's pixels that are dropped and filled in.

    .. math:: \min_\theta E_z[\mp s_c(z \odot x + (1 - z) \odot \tilde x)]
        + \Lambda \cdot \mathrm{mean}(\theta_\uparrow)

    Parameters
    ----------
    query : (C, *S) Tensor, float32 in [0, 1]
        The query :math:`x`.
    source, target : int
        The class to leave and the class to reach.
    classifier : Classifier
        The classifier under study.
    infill : callable
        :math:`\tilde x`, from :func:`~napari_quac.networks.fido.settings.make_infill`.
    settings : FidoSettings, optional
        Objective, price, steps.
    start : MaskState, optional
        State to resume from, with these or other settings.

    Returns
    -------
    Steps of MaskState
        Every ten steps ``Progress.partial`` is the state; ``Progress.finish`` ends the work early
        with the present state.

    Raises
    ------
    MethodUnavailableError
        If the network has no gradient.
    NotFiniteError
        If the log-odds become NaN or infinite.

    Notes
    -----
    The paper's code displays the upsampled logits; here :math:`\theta_\uparrow` itself is sampled,
    priced and displayed. The paper's price per pixel is replaced by :math:`\Lambda`, which does not
    depend on the size of the image.

    References
    ----------
    .. [1] Chang, Creager, Goldenberg, Duvenaud, "Explaining image classifiers by counterfactual
       generation", ICLR 2019.
    .. [2] Fong, Vedaldi, "Interpretable explanations of black boxes by meaningful perturbation",
       ICCV 2017 (``deterministic``).
    """
    settings = settings or FidoSettings()
    class_index = target if settings.objective == "conversion" else source
    run = _Run(query, class_index, classifier, infill, settings)
    first_step = run.resume(start)
    stop = Event()
    state: MaskState | None = None
    reported: MaskState | None = None
    step = first_step
    while step < settings.n_steps and not stop.is_set():
        partial, reported = (state if state is not reported else None), state
        yield Progress(
            step, settings.n_steps, _text(step, settings.n_steps, state), partial, finish=stop.set
        )
        run.descend(step)
        step += 1
        if step % SHOW_EVERY == 0 or step == first_step + 1:
            before, state = state, run.state(step)
            if step >= 2 * settings.ramp and before is not None and _is_calm(before, state):
                return replace(state, converged=True, agreement=run.agreement(source, target))
    state = run.state(step)
    yield Progress(
        step, settings.n_steps, _text(step, settings.n_steps, state), state, finish=stop.set
    )
    return replace(state, agreement=run.agreement(source, target))


class _Run:
    """The parameters of one optimization and their optimizer."""

    def __init__(
        self,
        query: Tensor,
        class_index: int,
        classifier: Classifier,
        infill: Infill,
        settings: FidoSettings,
    ) -> None:
        self.classifier, self.infill, self.settings = classifier, infill, settings
        self.class_index = class_index
        self.query = query.to(classifier.device)
        self.image_size = tuple(query.shape[1:])
        cells = grid_size(self.image_size, settings.pixels_per_cell)
        # 0 is a coin toss for every cell; BBMP begins with a mask that keeps all pixels
        self.grid = torch.zeros((1, *cells), device=classifier.device, requires_grad=True)
        self.random = torch.Generator().manual_seed(settings.seed)
        self.optimizer = Adam(self.grid)
        self.terms = (0.0, 0.0)

    def resume(self, start: MaskState | None) -> int:
        """Take the parameters of an earlier state; return the step to resume at."""
        if start is None or start.grid.shape != self.grid.shape:
            return 0
        if start.settings.deterministic != self.settings.deterministic:
            return 0
        with torch.no_grad():
            self.grid.copy_(start.grid)
        same = replace(start.settings, n_steps=self.settings.n_steps) == self.settings
        return min(start.step, self.settings.n_steps) if same else 0

    def drop(self) -> Tensor:
        """Return the probability of dropping each pixel; (1, *S)."""
        grid = self.grid if self.settings.deterministic else self.grid.sigmoid()
        return upsampled(grid, self.image_size)

    def descend(self, step: int) -> None:
        """Do one step of gradient descent."""
        settings = self.settings
        ramp = 1.0 if settings.deterministic else min(1.0, step / max(1, settings.ramp))
        if settings.deterministic and step == 0:
            ramp = 0.0
        rate = settings.learning_rate * (1 - step / settings.n_steps)
        with torch.enable_grad():
            drop = self.drop()
            masks = 1 - self._draw(drop, 1 if settings.deterministic else settings.n_samples)
            logits = self.classifier.logits(self._filled(masks))
            if not logits.requires_grad:
                raise MethodUnavailableError(
                    f"{self.classifier.name} has no gradients for FIDO. Choose 'residual'."
                )
            score = self._log_odds(logits).mean()
            score = score if settings.objective == "sdr" else -score
            price = settings.penalty * priced(settings.objective, drop).mean()
            if settings.total_variation:
                price = price + settings.total_variation * total_variation(drop)
            (gradient,) = torch.autograd.grad(score + ramp * price, self.grid)
        self.optimizer.step(gradient, rate)
        if settings.deterministic:
            with torch.no_grad():
                self.grid.clamp_(0, 1)
        self.terms = (float(score.detach()), float(price.detach()))

    def _log_odds(self, logits: Tensor) -> Tensor:
        values = log_odds(logits, self.class_index, self.classifier.is_independent)
        if not torch.isfinite(values.detach().mean()):
            raise NotFiniteError(
                f"The log-odds of {self.classifier.name} became NaN. Check the weights."
            )
        return values

    def _draw(self, drop: Tensor, n: int) -> Tensor:
        if self.settings.deterministic:
            return drop[None]
        # on the CPU, so that a seed gives the same mask on every device
        uniform = torch.rand((n, *drop.shape), generator=self.random).to(drop.device)
        return concrete_drop(drop[None], uniform, self.settings.temperature)

    def _filled(self, masks: Tensor) -> Tensor:
        """Return the infilled queries; the infill sees the rounded masks and has no gradient."""
        filled = self.infill((masks.detach() > 0.5).float(), self.random)
        return masks * self.query + (1 - masks) * filled

    def state(self, step: int) -> MaskState:
        """Return the present state of the optimization."""
        settings = self.settings
        with torch.no_grad():
            drop = self.drop()
            keeps = priced("ssr", drop) > 0.5 if settings.objective == "ssr" else drop <= 0.5
            hybrid = self._filled(keeps[None].float()).clamp(0, 1)
            logits = self.classifier.logits(hybrid)
        return MaskState(
            settings=settings,
            step=step,
            drop=drop.detach().cpu().clone(),
            hybrid=hybrid[0].cpu(),
            prediction=self.classifier.probabilities(logits)[0].float().cpu(),
            log_odds=float(self._log_odds(logits)),
            score_term=self.terms[0],
            price_term=self.terms[1],
            grid=self.grid.detach().cpu().clone(),
        )

    def agreement(self, source: int, target: int) -> float | None:
        """Return the share of draws that meet the objective; None if nothing is drawn."""
        if self.settings.deterministic:
            return None
        with torch.no_grad():
            drop = self.drop()
            uniform = torch.rand((N_CHECKS, *drop.shape), generator=self.random).to(drop.device)
            masks = (uniform >= drop[None]).float()
            classes = self.classifier.predict(self._filled(masks).cpu()).argmax(dim=1)
        agrees = {
            "conversion": classes == target,
            "ssr": classes == source,
            "sdr": classes != source,
        }
        return float(agrees[self.settings.objective].float().mean())


def _is_calm(before: MaskState, now: MaskState) -> bool:
    if now.settings.tolerance <= 0:
        return False
    pace = float((now.drop - before.drop).abs().mean())
    changed = float((now.region != before.region).float().mean())
    return pace < now.settings.tolerance and changed <= REGION_TOLERANCE


def _text(step: int, n_steps: int, state: MaskState | None) -> str:
    text = f"step {step} of {n_steps}"
    return text if state is None else f"{text}, {state.kept_fraction:.0%} of the image preserved"


class Adam:
    r"""The Adam optimizer, for a single tensor.

    .. math:: \theta \leftarrow \theta - \eta \,
        \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    parameter : Tensor
        Updated in place.

    Notes
    -----
    ``torch.optim`` is avoided: its first optimizer in a process imports ``torch._dynamo``, 800
    modules in about a second, during which the work cannot be canceled.

    References
    ----------
    .. [1] Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.mean = torch.zeros_like(parameter, requires_grad=False)
        self.square = torch.zeros_like(parameter, requires_grad=False)
        self.n_steps = 0

    def step(self, gradient: Tensor, learning_rate: float) -> None:
        """Take one step against a gradient of the parameter's shape."""
        self.n_steps += 1
        first, second = BETAS
        with torch.no_grad():
            self.mean.lerp_(gradient, 1 - first)
            self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            size = (self.square / (1 - second**self.n_steps)).sqrt_().add_(ADAM_EPSILON)
            rate = learning_rate / (1 - first**self.n_steps)
            self.parameter.addcdiv_(self.mean, size, value=-rate)


def log_odds(logits: Tensor, class_index: int, independent: bool = False) -> Tensor:
    r"""Return the log-odds of a class.

    .. math:: s_c = \log f_c - \log(1 - f_c) = \ell_c - \log \sum_{k \ne c} e^{\ell_k}

    Parameters
    ----------
    logits : (N, K) Tensor
        Two classes or more; probabilities near 0 and 1 lose nothing in this form.
    class_index : int
        The class :math:`c`.
    independent : bool
        Each class has a probability of its own, so that its logit is its log-odds.

    Returns
    -------
    (N,) Tensor
    """
    if independent:
        return logits[:, class_index]
    others = torch.cat([logits[:, :class_index], logits[:, class_index + 1 :]], dim=1)
    return logits[:, class_index] - others.logsumexp(dim=1)


def total_variation(probability: Tensor) -> Tensor:
    """Return the sum of squared differences of neighboring pixels along each spatial axis."""
    total = probability.new_zeros(())
    for axis in range(1, probability.ndim):
        total = total + probability.diff(dim=axis).square().sum()
    return total


def concrete_drop(drop: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    r"""Draw soft masks of dropped pixels from the Concrete distribution.

    .. math:: d = \mathrm{sigmoid}((\mathrm{logit}\,\theta + \mathrm{logit}\,u) / T)

    Parameters
    ----------
    drop : Tensor in [0, 1]
        Probability :math:`\theta` that a pixel is dropped.
    uniform : Tensor in [0, 1]
        Uniform noise :math:`u`, one number per pixel and draw.
    temperature : float
        :math:`T`; the smaller, the closer to 0 and 1.

    Returns
    -------
    Tensor in [0, 1], of the broadcast shape

    References
    ----------
    .. [1] Maddison, Mnih, Teh, "The Concrete distribution", ICLR 2017.
    """
    theta = drop.clamp(EPSILON, 1 - EPSILON)
    noise = uniform.clamp(EPSILON, 1 - EPSILON)
    return torch.sigmoid((theta.logit() + noise.logit()) / temperature)


def grid_size(image_size: tuple[int, ...], pixels_per_cell: int) -> tuple[int, ...]:
    """Return the size of the mask's grid: at least 8 cells a side, at most one per pixel."""
    return tuple(min(side, max(8, -(-side // pixels_per_cell))) for side in image_size)


def upsampled(grid: Tensor, image_size: tuple[int, ...]) -> Tensor:
    """Return probabilities (1, *S) of a grid (1, *G), interpolated linearly, corners on corners."""
    if tuple(grid.shape[1:]) == image_size:
        return grid
    mode = MODES[len(image_size)]
    return F.interpolate(grid[None], image_size, mode=mode, align_corners=True)[0]
