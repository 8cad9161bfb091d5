"""StarGAN v2 with the same weights: the QuAC library's styles and images."""

from __future__ import annotations

import json

import numpy as np
import torch

from napari_quac.networks.architectures.stargan_v2 import StarGAN
from napari_quac.networks.architectures.stargan_v2_shapes import infer_hyperparameters
from parity.conftest import FOLDER
from parity.weights import seeded_inputs, seeded_states


def test_same_styles_and_images_as_the_quac_library() -> None:
    states = seeded_states(json.loads((FOLDER / "stargan.json").read_text()))
    network = StarGAN(infer_hyperparameters(states)).eval()
    for name, state in states.items():
        getattr(network, name).load_state_dict(state, strict=True)
    inputs = seeded_inputs()
    with torch.inference_mode():
        latent = network.style_from_latent(inputs["z"], inputs["y"])
        reference = network.style_from_image(inputs["r"], inputs["y"])
        found = {
            "style_latent": latent,
            "style_ref": reference,
            "out_latent": torch.tanh(network(inputs["x"], latent)),
            "out_ref": torch.tanh(network(inputs["x"], reference)),
        }
    with np.load(FOLDER / "stargan.npz") as arrays:
        for name, values in found.items():
            expected = arrays[name]
            # 20 layers of float32, summed in another order on another processor
            limit = 1e-4 * np.abs(expected).max()
            np.testing.assert_allclose(values, expected, rtol=0, atol=limit, err_msg=name)
