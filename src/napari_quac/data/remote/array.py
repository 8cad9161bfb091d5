"""Arrays on another machine, whose voxels are requested when they are read."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.dataset import nothing_to_cancel
from napari_quac.data.remote.access import context, kvstore, tensorstore, wait
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.hosts import require_consent
from napari_quac.errors import DataError

DTYPES = frozenset(
    [f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)] + ["float32", "float64"]
)
MAX_AXES = 16
MAX_PREFETCHED = 64 << 20
"""Bytes of the parts of an array that were requested ahead and have not been read yet."""


class MissingBlocksError(DataError):
    """Voxels of which nothing is stored."""


class RemoteArray:
    """An array on another machine, with axes from the slowest to the fastest.

    Parameters
    ----------
    address : Address
        Of the array or, for precomputed volumes, of the volume.
    spec : mapping
        Driver of tensorstore with its options.
    shape, chunks : sequence of int
        As described there, from the slowest axis to the fastest.
    dtype : str
        Type of the numbers, as NumPy writes it.
    is_reversed : bool
        True where tensorstore has the fastest axis first.

    Attributes
    ----------
    attributes, attrs : dict
        Of N5, and of zarr.

    Raises
    ------
    ValueError
        If shape, chunks or type are impossible.
    """

    def __init__(
        self,
        address: Address,
        spec: Mapping[str, Any],
        shape: Sequence[int],
        chunks: Sequence[int],
        dtype: str,
        is_reversed: bool = False,
    ) -> None:
        self.address, self._spec, self._is_reversed = address, dict(spec), is_reversed
        self.shape, self.chunks = _lengths(shape), _lengths(chunks)
        if len(self.shape) != len(self.chunks):
            raise ValueError(f"blocks of {self.chunks} voxels in an array of {self.shape}")
        self.dtype, self.ndim = np.dtype(dtype).newbyteorder("="), len(self.shape)
        self.attributes: dict[str, Any] = {}
        self.attrs: Mapping[str, Any] = {}
        self._stores: dict[bool, Any] = {}
        self._prefetched: dict[Any, tuple[Any, int]] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs, without connections."""
        return {**self.__dict__, "_stores": {}, "_prefetched": {}, "_lock": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part; blocks that are not stored are 0.

        Raises
        ------
        MissingBlocksError
            If none of its blocks is stored.
        DataError
            If the request fails.
        Canceled
            If the work of this thread was canceled.
        """
        try:
            return self._read(key, fill=False)
        except FileNotFoundError:
            values = self._read(key, fill=True)
        if values.size and (values == values.flat[0]).all():
            raise MissingBlocksError(
                f"Nothing is stored at these voxels of '{self.address}': its blocks are missing."
            )
        return values

    def prefetch(self, key: tuple[int | slice, ...]) -> Callable[[], None]:
        """Request a part that will be read soon, and return a function that cancels the request.

        Nothing is requested while the parts that were requested before exceed
        :data:`MAX_PREFETCHED`. Errors of the request are raised when the part is read.

        Parameters
        ----------
        key : tuple of int and slice
            The part, exactly as it will be read.

        Raises
        ------
        DataError
            If the array cannot be opened.
        """
        store, name = self._store(fill=False), _name_of(key)
        with self._lock:
            size = math.prod(b - a for a, b in name) * self.dtype.itemsize
            held = sum(n_bytes for _, n_bytes in self._prefetched.values())
            if name in self._prefetched or held + size > MAX_PREFETCHED:
                return nothing_to_cancel
            future = store[key].read(order="C")
            self._prefetched[name] = future, size

        def cancel() -> None:
            with self._lock:
                entry = self._prefetched.get(name)
                if entry is None or entry[0] is not future:
                    return
                del self._prefetched[name]
            future.cancel()

        return cancel

    def _read(self, key: Any, fill: bool) -> NDArray[Any]:
        store, name = self._store(fill), _name_of(key)
        with self._lock:
            entry = None if fill else self._prefetched.pop(name, None)
        future = store[key].read(order="C") if entry is None else entry[0]
        return np.asarray(wait(future, self.address, is_part=True))

    def _store(self, fill: bool) -> Any:
        """Return the store of tensorstore, with axes as in NumPy, from 0."""
        require_consent(self.address.host)
        with self._lock:
            if fill not in self._stores:
                spec = {
                    **self._spec,
                    "kvstore": kvstore(self.address),
                    "recheck_cached_metadata": False,
                    "recheck_cached_data": False,
                    "fill_missing_data_reads": fill,
                }
                ts = tensorstore()
                future = ts.open(spec, context=context(), open=True, read=True)
                store = wait(future, self.address)
                if store.dtype.numpy_dtype != self.dtype or store.rank != self.ndim:
                    raise DataError(f"'{self.address}' is not what its description declares.")
                store = store.T if self._is_reversed else store
                self._stores[fill] = store[ts.d[:].translate_to[0]]
            return self._stores[fill]


def _name_of(key: Any) -> Any:
    """Return bounds along each axis, as slices have no hash before Python 3.12."""
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(
        (part.start, part.stop)
        if isinstance(part, slice)
        else (part, part + 1)
        if isinstance(part, int)
        else part
        for part in parts
    )


def _lengths(lengths: Sequence[int]) -> tuple[int, ...]:
    if not 0 < len(lengths) <= MAX_AXES or not all(
        type(length) is int and 0 < length < 1 << 48 for length in lengths
    ):
        raise ValueError(f"{list(lengths)!r} are no lengths")
    return tuple(lengths)
