"""Adam for the one tensor that a mask is made of, without the imports of ``torch.optim``."""

from __future__ import annotations

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    r"""Gradient descent with running means of gradient and squared gradient.

    .. math:: \theta \leftarrow \theta - \eta \,
        \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    parameter : Tensor
        Is changed in place.

    Notes
    -----
    The first optimiser of ``torch.optim`` in a process imports ``torch._dynamo``: 800 modules and
    a second, in which the work could not be cancelled and no mask be seen.

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
        """Go one step against a gradient of the parameter's shape."""
        self.n_steps += 1
        first, second = BETAS
        with torch.no_grad():
            self.mean.lerp_(gradient, 1 - first)
            self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            size = (self.square / (1 - second**self.n_steps)).sqrt_().add_(EPSILON)
            rate = learning_rate / (1 - first**self.n_steps)
            self.parameter.addcdiv_(self.mean, size, value=-rate)
