"""Addresses of volumes, in the forms of Neuroglancer, of buckets and of web servers."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

from napari_quac.errors import DataError, shorten

KINDS = {
    "precomputed": "precomputed",
    "neuroglancer-precomputed": "precomputed",
    "zarr": "zarr",
    "zarr2": "zarr",
    "zarr3": "zarr",
    "ome-zarr": "zarr",
    "n5": "n5",
}
"""Kinds of volumes by the names that Neuroglancer has for them."""
PROTOCOLS = ("gs", "s3", "https", "http", "file")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")
_S3_HOST = re.compile(r"(?P<bucket>[^/]+)\.s3(?:[.-](?P<region>[a-z0-9-]+))?\.amazonaws\.com")
_NO_IMAGES = {
    "graphene": "is a segmentation (graphene), not an image",
    "middleauth+https": "needs a sign-in (middleauth), which is not supported",
    "brainmaps": "is a volume of BrainMaps, which is not supported",
    "dvid": "is a volume of DVID, which is not supported",
    "boss": "is a volume of bossDB's own service, which is not supported",
    "render": "is a volume of a render service, which is not supported",
    "nifti": "is a NIfTI file, which is not supported",
}


class Address(str):
    """A volume on another machine, as plans and records keep it.

    Parameters
    ----------
    text : str
        Such as ``"precomputed://gs://bucket/em"``, ``"gs://bucket/em/|zarr3:"`` or
        ``"https://example.org/em.zarr"``.

    Attributes
    ----------
    protocol : str
        One of :data:`PROTOCOLS`.
    place : str
        Bucket, or name of the machine and port; empty for files.
    path : str
        Inside of it, without a slash at its ends.
    kind : str
        One of the values of :data:`KINDS`; empty if the files there have to tell it.
    query : str
        Of a web address, such as a version; never a signature.

    Raises
    ------
    DataError
        If it is no address, names a service or format that is not supported, or contains a
        password.

    Examples
    --------
    >>> Address("gs://bucket/em/|neuroglancer-precomputed:")
    'precomputed://gs://bucket/em'
    """

    protocol: str
    place: str
    path: str
    kind: str
    query: str

    def __new__(cls, text: str) -> Address:
        """Read an address."""
        text = text.strip()
        given, kinds = shorten(text, 200), set[str]()
        url, *steps = text.split("|")
        for step in steps:
            name, _, inside = step.partition(":")
            if name not in KINDS:
                raise DataError(
                    f"'{given}' needs the step '{name}', which is not supported. Give the address "
                    "of an unpacked volume."
                )
            kinds.add(KINDS[name])
            url = f"{url.rstrip('/')}/{inside.strip('/')}" if inside.strip("/") else url
        while (match := _SCHEME.match(url)) and match["scheme"].lower() in KINDS:
            kinds.add(KINDS[match["scheme"].lower()])
            url = url[match.end() :]
        if len(kinds) > 1:
            raise DataError(f"'{given}' names two kinds. Remove one of them.")
        return cls._made(*_parts(url, given), "".join(kinds))

    @classmethod
    def _made(cls, protocol: str, place: str, path: str, query: str, kind: str) -> Address:
        url = f"{protocol}://{place}{'/' if place else ''}{quote(path)}".rstrip("/")
        url += f"?{query}" if query else ""
        address = super().__new__(cls, f"{kind}://{url}" if kind else url)
        address.protocol, address.place, address.path = protocol, place, path
        address.query, address.kind = query, kind
        return address

    def __getnewargs__(self) -> tuple[str]:
        """Return what a copy is made of."""
        return (str(self),)

    @property
    def host(self) -> str:
        """The machine that is contacted; empty for files."""
        if self.protocol == "gs":
            return "storage.googleapis.com"
        if self.protocol == "s3":
            return f"{self.place}.s3.amazonaws.com"
        return self.place

    @property
    def name(self) -> str:
        """Last part of the path, for display."""
        return PurePosixPath(self.path).name or self.place

    def at(self, *parts: str) -> Address:
        """Return the address of something below."""
        inside = [part.strip("/") for part in parts]
        path = "/".join(filter(None, (self.path.rstrip("/"), *inside)))
        return self._made(self.protocol, self.place, path, self.query, self.kind)

    def of_kind(self, kind: str) -> Address:
        """Return the address with its format."""
        return self._made(self.protocol, self.place, self.path, self.query, kind)


def is_address(text: Any) -> bool:
    """Tell an address from the path of a file."""
    return isinstance(text, str) and _SCHEME.match(text.strip()) is not None


class _IsLocation:
    """Tells pydantic how a text in a plan becomes a path or an address."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: Any) -> Any:
        from pydantic import PlainValidator

        return PlainValidator(location).__get_pydantic_core_schema__(source, handler)


Location = Annotated[Path | Address, _IsLocation]


def location(text: Any) -> Path | Address:
    """Return the address or the path that a text is.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if is_address(text):
        return text if isinstance(text, Address) else Address(text)
    if not isinstance(text, str | Path):
        raise ValueError("expected a path or an address")
    return Path(text)


def _parts(url: str, given: str) -> tuple[str, str, str, str]:
    """Return protocol, place, path and query; a web address of a public bucket as that bucket."""
    match = _SCHEME.match(url)
    protocol = match["scheme"].lower() if match else ""
    if protocol in _NO_IMAGES:
        raise DataError(f"'{given}' {_NO_IMAGES[protocol]}. Choose the address of an image.")
    if protocol not in PROTOCOLS:
        known = ", ".join(f"{name}://" for name in PROTOCOLS)
        raise DataError(f"'{given}' is no address of a volume. Begin it with {known}.")
    try:
        parts = urlsplit(url)
        place, path = parts.netloc, unquote(parts.path).strip("/")
        _ = parts.port
    except ValueError as error:
        raise DataError(f"'{given}' is no address ({error}). Copy it again.") from error
    if protocol == "file":
        return "file", "", path if re.match(r"[A-Za-z]:", path) else f"/{path}", ""
    if not place:
        raise DataError(f"'{given}' names no bucket or machine. Copy it again.")
    if "@" in place or _is_signed(parts.query):
        raise DataError(
            "The address contains a password or a signature, which would be kept in plans and "
            "records. Remove it, or download the volume."
        )
    if place == "storage.googleapis.com" and path:
        bucket, _, inside = path.partition("/")
        return "gs", bucket, inside, ""
    if web := _S3_HOST.fullmatch(place):
        return "s3", web["bucket"], path, ""
    return protocol, place, path, parts.query if protocol.startswith("http") else ""


def _is_signed(query: str) -> bool:
    words = re.findall(r"[a-z]+", query.lower())
    return bool({"token", "signature", "sig", "key", "credential", "password"} & set(words))
