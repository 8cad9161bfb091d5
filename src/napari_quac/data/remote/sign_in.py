"""Accounts for buckets that are not public: those of gcloud and aws, and only if the user asks.

An account is neither requested nor stored here: tensorstore reads the configuration of the user's
other programs. Plans and records contain only addresses.
"""

from __future__ import annotations

from napari_quac.data.remote.address import Address
from napari_quac.errors import DataError

SIGN_IN_PROGRAMS = {"gs": "gcloud", "s3": "aws"}
"""Programs that hold the accounts, by protocol."""
_is_allowed = False
_buckets: set[tuple[str, str]] = set()


class SignInError(DataError):
    """Refusal of a bucket that is not public, where the user has not asked to sign in."""

    action = "sign_in"


def allow_sign_in(is_allowed: bool) -> None:
    """Tell whether accounts are used for all buckets that are not public."""
    global _is_allowed
    _is_allowed = is_allowed
    if not is_allowed:
        _buckets.clear()


def may_sign_in() -> bool:
    """Return True if accounts are used for all buckets that are not public."""
    return _is_allowed


def sign_in(address: Address) -> None:
    """Use the account for a bucket that has refused anonymous requests."""
    _buckets.add((address.protocol, address.place))


def is_signed_in(address: Address) -> bool:
    """Tell whether requests to a bucket are sent with an account."""
    return (address.protocol, address.place) in _buckets
