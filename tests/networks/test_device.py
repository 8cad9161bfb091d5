"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from napari_quac.errors import QuacError, UnknownNameError
from napari_quac.networks.device import list_devices, resolve_device


def test_cpu_is_always_there() -> None:
    devices = list_devices()
    assert devices[-1].id == "cpu"
    assert "cpu" in str(devices[-1])
    assert resolve_device("cpu") == torch.device("cpu")
    assert str(resolve_device("auto")) == devices[0].id


def test_unknown_device_lists_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"no device 'gpu'.*auto.*cpu"):
        resolve_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_missing_cuda_is_explained(name: str) -> None:
    with pytest.raises(QuacError, match=f"Device '{name}' cannot be used: .*'cpu'"):
        resolve_device(name)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")
def test_missing_mps_is_explained() -> None:
    with pytest.raises(QuacError, match="'mps' cannot be used"):
        resolve_device("mps")


def test_gpus_are_listed_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU number {index}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (2**30, 4 * 2**30))
    devices = list_devices()
    assert [device.id for device in devices] == ["cuda:0", "cuda:1", "cpu"]
    assert str(devices[0]) == "cuda:0 (GPU number 0, 1.0 GiB free)"
    assert resolve_device("auto") == torch.device("cuda:0")
    assert resolve_device("cuda") == torch.device("cuda:1")
    with pytest.raises(UnknownNameError, match="cuda:0, cuda:1, cpu"):
        resolve_device("cuda:7")
