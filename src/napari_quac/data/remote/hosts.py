"""Consent of the user to contact machines: those that she has named, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from napari_quac.errors import DataError

_allows: ContextVar[Callable[[str], bool] | None] = ContextVar(
    "hosts that are allowed", default=None
)


class HostError(DataError):
    """A machine that the user has not agreed to contact.

    Parameters
    ----------
    host : str
        Its name.
    """

    def __init__(self, host: str) -> None:
        super().__init__(
            f"'{host}' was not contacted: a file asks for it, and you have not agreed. If you "
            "trust the file, open it and choose 'Trust and use' (as a command, --trust)."
        )
        self.host = host


@contextmanager
def hosts_restricted(allows: Callable[[str], bool]) -> Iterator[None]:
    """Contact only some machines within a block.

    Python code has chosen the addresses that it opens, so there is no restriction by default.
    """
    token = _allows.set(allows)
    try:
        yield
    finally:
        _allows.reset(token)


def require_consent(host: str) -> None:
    """Refuse to contact a machine without the consent of the user.

    Raises
    ------
    HostError
        If she has not agreed to it, where that is required.
    """
    allows = _allows.get()
    if host and allows is not None and not allows(host):
        raise HostError(host)


def restrict_hosts(allows: Callable[[str], bool]) -> None:
    """Contact only some machines in this thread from now on."""
    _allows.set(allows)
