"""Shares in percent, as text."""

from __future__ import annotations


def percentage(share: float, digits: int = 0) -> str:
    """Return a share in percent; only all is 100%, and only none is 0%.

    Parameters
    ----------
    share : float
        From 0 to 1.
    digits : int
        Digits after the decimal point.

    Examples
    --------
    >>> percentage(0.25), percentage(0.999), percentage(0.001), percentage(1.0)
    ('25%', 'over 99%', 'under 1%', '100%')
    """
    text = f"{share:.{digits}%}"
    if share < 1 and float(text[:-1]) >= 100:
        return f"over {1 - 10.0 ** -(digits + 2):.{digits}%}"
    if share > 0 and float(text[:-1]) <= 0:
        return f"under {10.0 ** -(digits + 2):.{digits}%}"
    return text
