"""Requests to buckets and web servers: tries, limits, and errors as sentences."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from napari_quac.data.remote.address import Address
from napari_quac.data.remote.hosts import require_consent
from napari_quac.data.remote.sign_in import (
    SIGN_IN_PROGRAMS,
    SignInError,
    is_signed_in,
    may_sign_in,
    sign_in,
)
from napari_quac.errors import DataError, one_line
from napari_quac.reading import parse_json
from napari_quac.stepwise import check_canceled

CACHE_BYTES = 256 << 20
TRIES = 3
MAX_REQUESTS = 32
"""At the same time."""
MAX_DESCRIPTION = 1 << 24  # bytes
HOST_SECONDS = 5.0
READ_SECONDS = 120.0
_STEP_SECONDS = 0.02
_known: set[str] = set()


def check_host(address: Address) -> None:
    """Ask for the number of a machine, for at most five seconds.

    Raises
    ------
    DataError
        If its name is unknown.
    """
    if not address.host or address.host in _known or _has_proxy(address.protocol):
        return
    name = re.sub(r":\d+$", "", address.host)
    problem: list[str] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(name, None)
        except (OSError, UnicodeError) as error:
            problem.append(one_line(error))

    thread = threading.Thread(target=look_up, daemon=True, name="host name")
    thread.start()
    end = monotonic() + HOST_SECONDS
    while thread.is_alive() and monotonic() < end:
        thread.join(_STEP_SECONDS)
        check_canceled()
    if thread.is_alive() or problem:
        reason = problem[0] if problem else f"no answer within {HOST_SECONDS:.0f} s"
        raise DataError(
            f"The machine '{name}' was not found ({reason}). Check the address and the connection."
        )
    _known.add(address.host)


def _has_proxy(protocol: str) -> bool:
    scheme = "http" if protocol == "http" else "https"
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return any(os.environ.get(name) for name in names)


@cache
def tensorstore() -> Any:
    """Return the module.

    Raises
    ------
    DataError
        If it is not installed.
    """
    try:
        import tensorstore
    except ImportError as error:
        raise DataError(
            "Volumes on other machines need the package tensorstore. Install it with "
            "pip install napari-quac[remote]."
        ) from error
    return tensorstore


@cache
def context() -> Any:
    """Return the cache and the limits that all volumes of this process share."""
    retries = {"max_retries": TRIES - 1, "initial_delay": "250ms", "max_delay": "1s"}
    requests = {"limit": MAX_REQUESTS}
    return tensorstore().Context({
        "cache_pool": {"total_bytes_limit": CACHE_BYTES},
        "data_copy_concurrency": {"limit": 1},
        **{f"{name}_request_retries": retries for name in ("http", "gcs", "s3")},
        **{f"{name}_request_concurrency": requests for name in ("http", "gcs", "s3")},
    })  # fmt: skip


def n_bytes_read() -> int:
    """Return the number of bytes that this process has received through tensorstore."""
    metrics = tensorstore().experimental_collect_matching_metrics("/tensorstore/kvstore/")
    counters = [metric for metric in metrics if metric["name"].endswith("/bytes_read")]
    return sum(int(value["value"]) for metric in counters for value in metric["values"])


def _s3_endpoint() -> str:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def bucket_server(address: Address) -> str:
    """Return the URL of the service of a bucket; for S3 that of the bucket."""
    if address.protocol == "gs":
        return os.environ.get("TENSORSTORE_GCS_HTTP_URL", "https://storage.googleapis.com")
    endpoint = _s3_endpoint()
    return f"{endpoint}/{address.place}" if endpoint else f"https://{address.host}/"


def kvstore(address: Address) -> dict[str, Any]:
    """Return how tensorstore finds the files of a folder, without an account before the sign-in."""
    path = f"{address.path.rstrip('/')}/" if address.path else ""
    if address.protocol == "file":
        return {"driver": "file", "path": path}
    is_anonymous = not is_signed_in(address)
    if address.protocol == "gs" and not is_anonymous:
        return {"driver": "gcs", "bucket": address.place, "path": path}
    if address.protocol == "gs":
        base, place = bucket_server(address), f"/{address.place}/{path}"
        return {"driver": "http", "base_url": base, "path": place}
    if address.protocol == "s3":
        spec: dict[str, Any] = {"driver": "s3", "bucket": address.place, "path": path}
        if is_anonymous:
            spec |= {"aws_credentials": {"type": "anonymous"}}
        if endpoint := _s3_endpoint():
            spec |= {"endpoint": endpoint, "aws_region": os.environ.get("AWS_REGION", "us-east-1")}
        return spec
    base = f"{address.protocol}://{address.place}"
    base += f"?{address.query}" if address.query else ""
    return {"driver": "http", "base_url": base, "path": f"/{path}"}


def wait(
    future: Any, address: Address, seconds: float = READ_SECONDS, is_part: bool = False
) -> Any:
    """Return the result of tensorstore, or end at once where the work was canceled.

    Parameters
    ----------
    future : tensorstore.Future
        Of a request.
    address : Address
        For messages.
    seconds : float
        The longest wait.
    is_part : bool
        A part of an array is read, of which blocks may be missing.

    Raises
    ------
    Canceled
        If the work of this thread was canceled.
    FileNotFoundError
        If a block of a part is missing.
    DataError
        If the request failed; one sentence.
    """
    end = monotonic() + seconds
    while True:
        try:
            return future.result(timeout=_STEP_SECONDS)
        except TimeoutError as error:
            if monotonic() > end:
                future.cancel()
                raise DataError(
                    f"'{address}' did not answer within {seconds:.0f} s. Check the connection, and "
                    "try again."
                ) from error
        except (ValueError, OSError, RuntimeError, NotImplementedError) as error:
            if is_part and "NOT_FOUND" in str(error):
                raise FileNotFoundError(str(address)) from error
            raise explained(error, address) from error
        try:
            check_canceled()
        except BaseException:
            future.cancel()
            raise


def explained(error: Exception, address: Address) -> DataError:
    """Return an error of tensorstore as one sentence: its own contains the whole request."""
    text = str(error)
    code = re.search(r"HTTP (?:response )?code:? (\d{3})|http_response_code='(\d{3})'", text)
    status = code[1] or code[2] if code else ""
    host = address.host
    if "NoSuchBucket" in text or "bucket does not exist" in text:
        return DataError(f"There is no bucket '{address.place}'. Check the address.")
    if status in ("401", "403") or "PERMISSION_DENIED" in text or "UNAUTHENTICATED" in text:
        return _not_public(address, status or "403")
    if status == "404" or "NOT_FOUND" in text:
        return DataError(f"There is nothing at '{address}' (HTTP 404). Check the address.")
    if re.search(r"resolve host|CURL error\[6\]", text):
        return DataError(
            f"The machine '{host}' was not found. Check the address and the connection."
        )
    if re.search(r"connect to server|CURL error\[7\]|Connection refused", text):
        return DataError(f"'{host}' does not accept connections. Check the address.")
    if status:
        return DataError(
            f"'{host}' answered with the error {status} {TRIES} times. Try again later."
        )
    if re.search(r"CURL error\[(18|52|56)\]|Transferred a partial|UNAVAILABLE", text):
        return DataError(f"The connection to '{host}' was cut {TRIES} times. Try again later.")
    reason = re.sub(r"\s*\[source locations.*", "", text, flags=re.DOTALL)
    reason = re.sub(r"\{.*\}", "…", reason, flags=re.DOTALL)
    return DataError(f"'{address}' cannot be read ({' '.join(reason.split())[:160]}).")


def _not_public(address: Address, status: str) -> DataError:
    sentence = f"'{address}' is not public (HTTP {status})."
    program = SIGN_IN_PROGRAMS.get(address.protocol)
    if program is None:
        return DataError(f"{sentence} Use a public copy, or download the volume.")
    if is_signed_in(address):
        return DataError(
            f"{sentence} The account of {program} on this machine may not read it. Sign in there "
            "with another one, or use a public copy."
        )
    return SignInError(
        f"{sentence} Use a public copy, or sign in with the account of {program} on this machine "
        "(as a command, --sign-in)."
    )


def read_file(address: Address, name: str) -> bytes | None:
    """Return a small file; None if it is missing.

    Raises
    ------
    HostError
        If the user has not agreed to contact the machine.
    DataError
        If the request failed, or the file is larger than 16 MB.
    """
    require_consent(address.host)
    check_host(address)
    try:
        answer = _read(kvstore(address), name, address)
    except SignInError:
        if not may_sign_in():
            raise
        sign_in(address)
        answer = _read(kvstore(address), name, address)
    if answer.state != "value":
        return None
    content = bytes(answer.value)
    if len(content) > MAX_DESCRIPTION:
        raise DataError(f"'{address.at(name)}' has {len(content) >> 20} MB, too many to describe.")
    return content


def _read(spec: Mapping[str, Any], name: str, address: Address) -> Any:
    try:
        opening = tensorstore().KvStore.open(dict(spec), context=context())
    except ValueError as error:  # such as an impossible name of a bucket
        raise explained(error, address) from error
    return wait(wait(opening, address).read(name), address)


def read_url(url: str, address: Address) -> bytes:
    """Return the answer to a request that is no file of a folder, such as a list of names.

    Parameters
    ----------
    url : str
        With its query.
    address : Address
        For messages and for the consent of the user.

    Raises
    ------
    HostError
        If the user has not agreed to contact the machine.
    DataError
        If the request failed.
    """
    require_consent(address.host)
    parts = urlsplit(url)
    spec = {"driver": "http", "base_url": f"{parts.scheme}://{parts.netloc}?{parts.query}"}
    answer = _read({**spec, "path": parts.path}, "", address)
    return bytes(answer.value) if answer.state == "value" else b""


def read_description(address: Address, name: str) -> Any:
    """Return a JSON file; None if it is missing.

    Raises
    ------
    DataError
        If the request failed, or the file is not JSON.
    """
    content = read_file(address, name)
    if content is None:
        return None
    with suppress(ValueError):
        return parse_json(content)
    raise DataError(f"'{address.at(name)}' is not JSON. It is damaged, or a page of a web server.")
