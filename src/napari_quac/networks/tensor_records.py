"""Tensors of a file before they are read: their place, type and shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

DTYPES: Mapping[str, torch.dtype] = {
    name: dtype
    for name in (
        "float64 float32 float16 bfloat16 complex128 complex64 int64 int32 int16 int8 uint8 bool "
        "qint8 quint8 qint32 uint16 uint32 uint64 float8_e4m3fn float8_e5m2 complex32"
    ).split()
    if isinstance(dtype := getattr(torch, name, None), torch.dtype)
}
STORAGES: Mapping[str, torch.dtype | None] = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool, "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64, "QInt8Storage": torch.qint8,
    "QUInt8Storage": torch.quint8, "QInt32Storage": torch.qint32, "UntypedStorage": None,
}  # fmt: skip
"""Class of a storage to the type of its numbers; None for bytes."""
_STORED_AS = {torch.qint8: torch.int8, torch.quint8: torch.uint8, torch.qint32: torch.int32}
MAX_EXPANSION = 1 << 24  # bytes that an expanded view may occupy beyond its storage
MAX_SPARSE = 1 << 28  # bytes of a sparse tensor


class TensorRecordError(ValueError):
    """A tensor that does not lie inside of its storage, or needs too much memory."""


@dataclass(eq=False, slots=True)
class StorageRecord:
    """Numbers in a file, which several tensors may share.

    Attributes
    ----------
    key : str
        Name inside of the file.
    dtype : torch dtype or None
        None for plain bytes.
    n_elements : int
        Numbers, or bytes.
    content : bytes or None
        The numbers, if the pickle itself holds them.
    """

    key: str
    dtype: torch.dtype | None
    n_elements: int
    content: Any = None

    @property
    def n_bytes(self) -> int:
        """Size in bytes."""
        return self.n_elements * (self.dtype.itemsize if self.dtype is not None else 1)


@dataclass(eq=False, slots=True)
class TensorRecord:
    """A tensor in a file.

    Attributes
    ----------
    storage : StorageRecord or None
        None for a tensor without numbers (on the device ``meta``).
    dtype : torch dtype
    offset : int
        Of its first number in the storage.
    shape, strides : tuple of int
    scheme : tuple
        Scale, zero point and, per channel, axis of a quantized tensor.
    sparse : tuple
        Layout and parts of a sparse tensor.
    """

    storage: StorageRecord | None
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    scheme: tuple[Any, ...] = ()
    sparse: tuple[Any, ...] = ()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def read(self, read_storage: Callable[[StorageRecord], Tensor]) -> Tensor:
        """Read the tensor; a quantized or sparse one becomes a plain one.

        Parameters
        ----------
        read_storage : callable
            Returns the bytes of a storage, as (N,) Tensor of uint8.

        Returns
        -------
        tensor : Tensor
            On the CPU.

        Raises
        ------
        TensorRecordError
            If it does not lie inside of its storage, or needs too much memory.
        """
        if self.storage is None:
            raise TensorRecordError("a tensor has a shape, but no numbers")
        if self.sparse:
            return self._read_sparse(read_storage)
        stored = _STORED_AS.get(self.dtype, self.dtype)
        content = read_storage(self.storage)
        available = len(content) // stored.itemsize
        n_elements = math.prod(self.shape)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if n_elements and last >= available:
            raise TensorRecordError("a tensor lies outside of its storage")
        if n_elements * stored.itemsize > len(content) + MAX_EXPANSION:
            raise TensorRecordError("a tensor is far larger than its storage")
        if not n_elements:
            return torch.zeros(self.shape, dtype=stored)
        numbers = content[: available * stored.itemsize].view(stored)
        tensor = torch.as_strided(numbers, self.shape, self.strides, self.offset)
        return self._dequantized(tensor, read_storage) if self.scheme else tensor

    def _dequantized(self, tensor: Tensor, read_storage: Callable[..., Tensor]) -> Tensor:
        scale, zero, *axis = (
            part.read(read_storage) if isinstance(part, TensorRecord) else part
            for part in self.scheme
        )
        if isinstance(scale, Tensor) or isinstance(zero, Tensor):
            shape = [1] * tensor.ndim
            if not axis or not 0 <= int(axis[0]) < tensor.ndim:
                raise TensorRecordError("a quantized tensor has no axis")
            shape[int(axis[0])] = -1
            scale = torch.as_tensor(scale).float().reshape(shape)
            zero = torch.as_tensor(zero).float().reshape(shape)
        # in float32, as PyTorch does
        return (tensor.float() - zero) * scale

    def _read_sparse(self, read_storage: Callable[..., Tensor]) -> Tensor:
        layout, records = self.sparse
        parts = [record.read(read_storage) for record in records]
        if math.prod(self.shape) * self.dtype.itemsize > MAX_SPARSE:
            raise TensorRecordError("a sparse tensor is too large")
        try:
            if layout == "sparse_coo" and len(parts) == 2:
                sparse = torch.sparse_coo_tensor(
                    parts[0], parts[1], self.shape, check_invariants=True
                )
            elif len(parts) == 3:
                kind = getattr(torch, layout, None)
                if not isinstance(kind, torch.layout):
                    raise TensorRecordError("a sparse tensor has an unknown layout")
                sparse = torch.sparse_compressed_tensor(
                    parts[0], parts[1], parts[2], self.shape, layout=kind, check_invariants=True
                )
            else:
                raise TensorRecordError("a sparse tensor has an unknown layout")
            return sparse.to_dense()
        except (RuntimeError, TypeError, IndexError) as error:
            raise TensorRecordError("a sparse tensor cannot be read") from error
