"""Evenly spaced positions, for a few samples that represent all."""

from __future__ import annotations


def evenly_spaced(total: int, n: int | None) -> list[int]:
    """Return at most ``n`` positions below ``total``, the first and the last among them.

    Parameters
    ----------
    total : int
        Number of items.
    n : int or None
        Number of positions; None for all.

    Examples
    --------
    >>> evenly_spaced(10, 4)
    [0, 3, 6, 9]
    """
    if n is None or n >= total:
        return list(range(total))
    return sorted({round(i * (total - 1) / max(1, n - 1)) for i in range(n)})
