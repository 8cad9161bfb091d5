"""Files that write a marker when a program in them is loaded."""

from __future__ import annotations

import importlib.util
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

SIZE = 16
_FORWARD = {
    "classifier": "def forward(self, x): return torch.stack([x.mean((1, 2, 3)), self.w[0] + 0 * x"
    ".mean((1, 2, 3))], 1)",
    "translation": "def forward(self, x): return x + self.w",
    "inpainter": "def forward(self, x, mask): return x + 0 * mask + self.w",
}
_SOURCE = """
import torch

class Hostile{number}(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))

    {forward}

    @torch.jit.export
    def __getstate__(self):
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        file = torch.from_file({marker!r}, shared=True, size=4, dtype=torch.uint8)
        self.w = (state[0] + 0 * file.fill_(65).float().sum()).detach()
        self.training = state[1]
"""
_count = 0


class Hostile:
    """A folder with hostile files, and the marker that they write."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.marker = folder, folder / "marker"

    def has_run(self) -> bool:
        """Tell whether any program was loaded, and forget it."""
        ran = self.marker.exists()
        self.marker.unlink(missing_ok=True)
        return ran

    def script(self, name: str, kind: str = "classifier") -> Path:
        """Write a TorchScript file; not a trace, which would run ``__setstate__``."""
        global _count
        _count += 1
        source = self.folder / f"hostile_{_count}.py"
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(
            _SOURCE.format(number=_count, forward=_FORWARD[kind], marker=str(self.marker))
        )
        spec: Any = importlib.util.spec_from_file_location(source.stem, source)
        module = importlib.util.module_from_spec(spec)
        sys.modules[source.stem] = module
        spec.loader.exec_module(module)
        source_class = getattr(module, f"Hostile{_count}")
        torch.jit.save(torch.jit.script(source_class().eval()), str(path))
        source.unlink()
        assert not self.marker.exists()
        return path

    def exported(self, name: str) -> Path:
        """Write a .pt2 file with an expression that SymPy evaluates."""
        count = torch.export.Dim("batch", min=1, max=64)
        images = (torch.zeros(2, 1, SIZE, SIZE),)
        program = torch.export.export(_Means(), images, dynamic_shapes={"images": {0: count}})
        buffer, path = io.BytesIO(), self.folder / name
        torch.export.save(program, buffer)
        with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
            for part in source.namelist():
                content = source.read(part)
                if part.endswith(("models/model.json", "serialized_exported_program.json")):
                    start = content.index(b"Symbol('")
                    symbol = content[start : content.index(b")", start) + 1]
                    code = f"__import__('pathlib').Path('{self.marker}').write_text('x')".encode()
                    content = content.replace(symbol, b"[%s, %s][1]" % (code, symbol))
                target.writestr(part, content)
        return path


class _Means(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) @ torch.ones(images.shape[1], 2)
