"""Find the smallest region of an image that decides, by gradient descent on a random mask."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from threading import Event

import torch
from torch import Tensor

from napari_quac.errors import MethodUnavailableError, NotFiniteError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.fido.adam import Adam
from napari_quac.networks.fido.infill import Infill
from napari_quac.networks.fido.objective import (
    class_of,
    log_odds,
    priced,
    score_loss,
    total_variation,
)
from napari_quac.networks.fido.relaxation import concrete_drop, grid_size, upsampled
from napari_quac.networks.fido.settings import FidoSettings, MaskState
from napari_quac.stepwise import Progress, stepwise

SHOW_EVERY = 10  # steps
N_CHECKS = 20  # draws of which it is told how many do what was asked
REGION_TOLERANCE = 1e-3  # share of the image that may change sides in ten steps at convergence


@stepwise
def optimise_mask(
    query: Tensor,
    source: int,
    target: int,
    classifier: Classifier,
    infill: Infill,
    settings: FidoSettings | None = None,
    start: MaskState | None = None,
) -> Generator[Progress, None, MaskState]:
    r"""Optimise which pixels of a query are dropped and filled in.

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
        :math:`\tilde x`, from :func:`~napari_quac.networks.fido.infill.make_infill`.
    settings : FidoSettings, optional
        Objective, price, steps.
    start : MaskState, optional
        Go on from here, with these or other settings.

    Returns
    -------
    Steps of MaskState
        Every ten steps ``Progress.partial`` is the state; ``Progress.finish`` ends the work and
        keeps what there is.

    Raises
    ------
    MethodUnavailableError
        If the network has no gradient.
    NotFiniteError
        If the log-odds become NaN or infinite.

    Notes
    -----
    The paper's code shows the upsampled logits; here :math:`\theta_\uparrow` is what is sampled,
    priced and shown. Its price per pixel is replaced by :math:`\Lambda`, which does not depend on
    the size of the image.

    References
    ----------
    .. [1] Chang, Creager, Goldenberg, Duvenaud, "Explaining image classifiers by counterfactual
       generation", ICLR 2019.
    .. [2] Fong, Vedaldi, "Interpretable explanations of black boxes by meaningful perturbation",
       ICCV 2017 (``deterministic``).
    """
    settings = settings or FidoSettings()
    run = _Run(query, class_of(settings.objective, source, target), classifier, infill, settings)
    first_step = run.resume(start)
    stop = Event()
    state: MaskState | None = None
    told: MaskState | None = None
    step = first_step
    while step < settings.n_steps and not stop.is_set():
        news, told = (state if state is not told else None), state
        yield Progress(step, settings.n_steps, _text(state), news, finish=stop.set)
        run.descend(step)
        step += 1
        if step % SHOW_EVERY == 0 or step == first_step + 1:
            before, state = state, run.state(step)
            if step >= 2 * settings.ramp and before is not None and _is_calm(before, state):
                return replace(state, converged=True, agreement=run.agreement(source, target))
    state = run.state(step)
    yield Progress(step, settings.n_steps, _text(state), state, finish=stop.set)
    return replace(state, agreement=run.agreement(source, target))


class _Run:
    """The parameters of one optimisation and what moves them."""

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
        # ω = 0 is a coin toss for every cell; BBMP begins with everything kept
        self.grid = torch.zeros((1, *cells), device=classifier.device, requires_grad=True)
        self.random = torch.Generator().manual_seed(settings.seed)
        self.optimiser = Adam(self.grid)
        self.terms = (0.0, 0.0)

    def resume(self, start: MaskState | None) -> int:
        """Take the parameters of an earlier state; return the step to go on with."""
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
            kept = 1 - self._draw(drop, 1 if settings.deterministic else settings.n_samples)
            logits = self.classifier.logits(self._filled(kept))
            if not logits.requires_grad:
                raise MethodUnavailableError(
                    f"The classifier {self.classifier.name} gives no gradients (it was frozen or "
                    "exported for inference), which FIDO needs. Choose 'residual', or load its "
                    "weights."
                )
            score = score_loss(settings.objective, log_odds(logits, self.class_index))
            price = settings.penalty * priced(settings.objective, drop).mean()
            if settings.total_variation:
                price = price + settings.total_variation * total_variation(drop)
            if not torch.isfinite(score):
                raise NotFiniteError(
                    f"The log-odds of the classifier {self.classifier.name} became NaN or "
                    "infinite while a mask was optimised. Check its value range "
                    f"(now {self.classifier.value_range}) and its weights."
                )
            (gradient,) = torch.autograd.grad(score + ramp * price, self.grid)
        self.optimiser.step(gradient, rate)
        if settings.deterministic:
            with torch.no_grad():
                self.grid.clamp_(0, 1)
        self.terms = (float(score.detach()), float(price.detach()))

    def _draw(self, drop: Tensor, n: int) -> Tensor:
        if self.settings.deterministic:
            return drop[None]
        # on the CPU, so that a seed gives the same mask on every device
        uniform = torch.rand((n, *drop.shape), generator=self.random).to(drop.device)
        return concrete_drop(drop[None], uniform, self.settings.temperature)

    def _filled(self, kept: Tensor) -> Tensor:
        """Return the infilled queries; the infill sees the rounded mask and has no gradient."""
        filled = self.infill((kept.detach() > 0.5).float(), self.random)
        return kept * self.query + (1 - kept) * filled

    def state(self, step: int) -> MaskState:
        """Return where the optimisation stands."""
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
            prediction=logits[0].softmax(dim=0).float().cpu(),
            log_odds=float(log_odds(logits, self.class_index)),
            score_term=self.terms[0],
            price_term=self.terms[1],
            grid=self.grid.detach().cpu().clone(),
        )

    def agreement(self, source: int, target: int) -> float | None:
        """Return the share of draws that do what was asked; None if nothing is drawn."""
        if self.settings.deterministic:
            return None
        with torch.no_grad():
            drop = self.drop()
            uniform = torch.rand((N_CHECKS, *drop.shape), generator=self.random).to(drop.device)
            kept = (uniform >= drop[None]).float()
            called = self.classifier.predict(self._filled(kept).cpu()).argmax(dim=1)
        wanted = {"conversion": called == target, "ssr": called == source, "sdr": called != source}
        return float(wanted[self.settings.objective].float().mean())


def _is_calm(before: MaskState, now: MaskState) -> bool:
    if now.settings.tolerance <= 0:
        return False
    pace = float((now.drop - before.drop).abs().mean())
    changed = float((now.region != before.region).float().mean())
    return pace < now.settings.tolerance and changed <= REGION_TOLERANCE


def _text(state: MaskState | None) -> str:
    if state is None:
        return "optimising the mask"
    return f"optimising the mask: {state.kept_fraction:.0%} kept, log-odds {state.log_odds:+.1f}"
