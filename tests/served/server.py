"""A server on this machine that answers as buckets and web servers do, with faults on request."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class VolumeServer(ThreadingHTTPServer):
    """Serves the files of a folder by their path, and as objects of a bucket ``data``.

    Attributes
    ----------
    requests : list of str
        Paths that were asked for.
    n_bytes : int
        Bytes of all answers.
    faults : dict
        Pattern of a path to the answers that come first: status codes, or ``"cut"``.
    delay : float
        Seconds before each answer.
    compute : callable or None
        Returns the content of a name, in place of the folder; None if there is nothing.
    needs_account : bool
        True to refuse requests without an account.
    most_at_once : int
        The largest number of requests that were answered at the same time.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.requests, self.n_bytes = folder, list[str](), 0
        self.faults: dict[str, list[Any]] = {}
        self.delay = 0.0
        self.needs_account = False
        self.compute: Callable[[str], bytes | None] | None = None
        self.most_at_once = self.n_active = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Address without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, address: Any) -> None:
        """Say nothing of clients that close connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: VolumeServer

    def log_message(self, *_: Any) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def _answer(self, with_content: bool) -> None:
        server = self.server
        with server.lock:
            server.n_active += 1
            server.most_at_once = max(server.most_at_once, server.n_active)
        try:
            self._answer_one(with_content)
        finally:
            with server.lock:
                server.n_active -= 1

    def _answer_one(self, with_content: bool) -> None:
        server = self.server
        path = unquote(urlsplit(self.path).path)
        bucket_of_google = re.fullmatch(r"/storage/v1/b/data/o/(.*)", path)
        name = bucket_of_google[1] if bucket_of_google else path.removeprefix("/data/").lstrip("/")
        with server.lock:
            server.requests.append(name)
            fault = next(
                (answers.pop(0) for pattern, answers in server.faults.items()
                 if answers and re.search(pattern, name)),
                None,
            )  # fmt: skip
        if server.needs_account and "Authorization" not in self.headers:
            fault = 403
        if server.delay:
            time.sleep(server.delay)
        file = server.folder / name
        if isinstance(fault, int):
            self._send(fault, b"fault", with_content)
        elif path == "/storage/v1/b/data/o":
            self._send(200, self._listed(), with_content)
        elif server.compute is not None:
            content = server.compute(name)
            self._send(404 if content is None else 200, content or b"", with_content)
        elif not name or not file.is_file():
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", with_content)
        else:
            self._send_file(file, fault == "cut", with_content)

    def _listed(self) -> bytes:
        """Return the names below a prefix as Google's buckets do."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        folder = self.server.folder / query.get("prefix", "")
        if not folder.is_dir():
            return b'{"kind": "storage#objects"}'
        inside = [(f"{query.get('prefix', '')}{path.name}", path) for path in folder.iterdir()]
        answer = {
            "prefixes": [f"{name}/" for name, path in inside if path.is_dir()],
            "items": [{"name": name} for name, path in inside if path.is_file()],
        }
        return json.dumps(answer).encode()

    def _send_file(self, file: Path, is_cut: bool, with_content: bool) -> None:
        size = file.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        start, stop = 0, size
        if wanted and wanted[1]:
            start, stop = int(wanted[1]), min(size, int(wanted[2] or size - 1) + 1)
        elif wanted:
            start = max(0, size - int(wanted[2]))
        with file.open("rb") as stream:
            stream.seek(start)
            content = stream.read(stop - start)
        self._send(206 if wanted else 200, content, with_content, (start, size), is_cut)

    def _send(
        self, status: int, content: bytes, with_content: bool, part: tuple[int, int] = (0, 0),
        is_cut: bool = False,
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        self.send_header("x-goog-generation", "1")
        if status == 206:
            last = part[0] + len(content) - 1
            self.send_header("Content-Range", f"bytes {part[0]}-{last}/{part[1]}")
        self.end_headers()
        if with_content:
            sent = content[: len(content) // 2] if is_cut else content
            self.wfile.write(sent)
            with self.server.lock:
                self.server.n_bytes += len(sent)
        if is_cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


@contextmanager
def serve(folder: Path) -> Iterator[VolumeServer]:
    """Serve a folder in threads until the block ends."""
    server = VolumeServer(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
