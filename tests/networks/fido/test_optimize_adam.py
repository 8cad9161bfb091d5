"""Our Adam goes where that of torch goes, and does not bring its imports."""

from __future__ import annotations

import subprocess
import sys

import torch

from napari_quac.networks.fido.optimize import Adam
from rounding import F32


def test_goes_where_that_of_torch_goes() -> None:
    random = torch.Generator().manual_seed(0)
    start = torch.randn((1, 5, 4), generator=random)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    mine, reference = Adam(ours), torch.optim.Adam([theirs], lr=0.1)
    for step in range(25):
        rate = 0.1 * (1 - step / 30)
        for group in reference.param_groups:
            group["lr"] = rate
        gradient = torch.randn(start.shape, generator=random)
        theirs.grad = gradient.clone()
        reference.step()
        mine.step(gradient, rate)
        torch.testing.assert_close(ours, theirs, atol=F32, rtol=F32)
    assert float((ours - start).detach().abs().min()) > 0


def test_a_mask_is_optimised_without_a_second_of_imports() -> None:
    program = """
import sys
import torch
from napari_quac.networks.fido.optimize import optimize_mask
from napari_quac.networks.fido.settings import FidoSettings
from napari_quac.testing import corner_classifier, corner_image
from napari_quac.networks.fido.settings import InfillChoice, make_infill
image, other = corner_image(0, 16), corner_image(1, 16)
infill = make_infill(InfillChoice("generated"), image, other, torch.device("cpu"))
steps = iter(optimize_mask(image, 0, 1, corner_classifier(16), infill, FidoSettings(n_steps=30)))
before = set(sys.modules)
for _ in range(3):
    next(steps)
print(sorted(name for name in set(sys.modules) - before if name.startswith("torch._dynamo")))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
