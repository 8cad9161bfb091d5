"""Names in a folder of a bucket, which are requested without an account."""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from napari_quac.data.remote.access import bucket_server, read_url
from napari_quac.data.remote.address import Address
from napari_quac.errors import DataError

MAX_NAMES = 20


def list_names(address: Address) -> list[str]:
    """Return the first names in a folder; empty where it cannot be listed, as on web servers."""
    prefix = f"{address.path.rstrip('/')}/" if address.path else ""
    try:
        if address.protocol == "file":
            names = os.listdir(Path(address.path))
        elif address.protocol == "gs":
            names = _names_of_google(address, prefix)
        elif address.protocol == "s3":
            names = _names_of_amazon(address, prefix)
        else:
            return []
    except (DataError, OSError, ValueError):  # many buckets have public files, but no list
        return []
    tops = {name.removeprefix(prefix).strip("/") for name in names}
    return sorted(tops - {""})[:MAX_NAMES]


def _names_of_google(address: Address, prefix: str) -> list[str]:
    query = f"prefix={quote(prefix, safe='')}&delimiter=/&maxResults={MAX_NAMES}"
    url = f"{bucket_server(address)}/storage/v1/b/{address.place}/o?{query}"
    answer: Any = json.loads(read_url(url, address))
    files = answer.get("items", [])
    return [*map(str, answer.get("prefixes", [])), *(str(file["name"]) for file in files)]


def _names_of_amazon(address: Address, prefix: str) -> list[str]:
    query = f"list-type=2&prefix={quote(prefix, safe='')}&delimiter=/&max-keys={MAX_NAMES}"
    text = read_url(f"{bucket_server(address)}?{query}", address).decode("utf-8")
    # by a pattern: an XML parser would expand entities of a stranger
    names = re.findall(r"<(?:Key|CommonPrefixes><Prefix)>([^<]*)</", text)
    return [html.unescape(name) for name in names]
