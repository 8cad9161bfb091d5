"""Programs in files and hosts that files name, and the consent of the user to run or contact them.

A program is trusted by the SHA-256 of its content. Where consent is required, as in the compute
thread of a window and in every command, the loader compares the bytes that it is about to run with
the ones that were trusted, so that an exchanged file is refused. Python code that loads a file by
itself has chosen it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from napari_quac.data.remote.address import Address
from napari_quac.data.remote.hosts import hosts_restricted, restrict_hosts
from napari_quac.errors import CheckpointError
from napari_quac.reading import is_regular_file, path_exists
from napari_quac.serialize import leaves_of, paths_in
from napari_quac.storage import append_line

PROGRAMS = ("torchscript", "exported program")  # ONNX holds a graph of known operators only
_is_required: ContextVar[bool] = ContextVar("consent is required", default=False)
_lock = threading.Lock()
_trusted: set[str] = set()
_trusted_paths: dict[Path, str] = {}
_named: list[Path] = []


@dataclass(frozen=True)
class Program:
    """A file that contains a program.

    Attributes
    ----------
    path : Path
        The file or folder as it was named.
    sha256 : str
        Of the program.
    """

    path: Path
    sha256: str

    @property
    def key(self) -> str:
        """Text that is kept of an answer."""
        return self.sha256


@dataclass(frozen=True)
class Host:
    """A machine that a file asks to contact.

    Attributes
    ----------
    name : str
        Its address, such as ``"storage.googleapis.com"``.
    """

    name: str

    @property
    def key(self) -> str:
        """Text that is kept of an answer."""
        return f"host:{self.name}"


Request: TypeAlias = Program | Host
"""A program or host to which a user agrees or not."""


class UntrustedProgramError(CheckpointError):
    """A program that the user has not agreed to run."""


def is_program(path: Path) -> bool:
    """Return True if a file contains its own program; False also for a file that is no network."""
    from napari_quac.networks.tensor_file import detect_format

    try:
        return detect_format(path) in PROGRAMS
    except (CheckpointError, OSError):
        return False


def programs_in(*parts: Any) -> tuple[Request, ...]:
    """Return the programs in all files that recipes and settings name, and the hosts.

    Parameters
    ----------
    *parts
        Recipes, settings or paths; the weights of a folder or archive of a classifier count, too.
    """
    paths = list(paths_in(parts))
    for part in parts:
        if hasattr(part, "paths"):
            paths += map(Path, part.paths())
    programs = [program for path in dict.fromkeys(paths) for program in _programs_at(path)]
    return (*programs, *hosts_in(*parts))


def hosts_in(*parts: Any) -> tuple[Host, ...]:
    """Return the machines at the addresses that recipes, settings or arguments name."""
    hosts = [leaf.host for leaf in leaves_of(parts) if isinstance(leaf, Address)]
    return tuple(Host(name) for name in dict.fromkeys(hosts) if name)


def _programs_at(path: Path) -> Iterator[Program]:
    from napari_quac.networks.formats.containers import weights_path
    from napari_quac.networks.tensor_file import file_hash

    if not path_exists(path):
        return
    try:
        file = weights_path(path)
    except (CheckpointError, OSError):
        file = path
    if is_regular_file(file) and is_program(file):
        yield Program(path, file_hash(file))


def trust(programs: Iterable[Request], remember: bool = False) -> None:
    """Run these programs, and contact these hosts, from now on.

    Parameters
    ----------
    programs : iterable of Program or Host
        As they were when the user agreed.
    remember : bool
        Also in later sessions and commands of this user.

    Raises
    ------
    StorageError
        If the answer cannot be remembered; it counts in this process all the same.
    """
    programs = tuple(programs)
    with _lock:
        _trusted.update(program.key for program in programs)
        files = [program for program in programs if isinstance(program, Program)]
        _trusted_paths.update({program.path.absolute(): program.sha256 for program in files})
    for program in programs if remember else ():
        append_line(answers_file(), program.key)


def trust_named(paths: Iterable[Path]) -> None:
    """Run the programs in these files, which the user has named herself; not those in folders."""
    with _lock:
        _named.extend(paths)


def trusted_hashes() -> frozenset[str] | None:
    """Return the hashes of all trusted programs; None if no consent is required here."""
    if not _is_required.get():
        return None
    _trust_named_files()
    return frozenset(_trusted | _remembered())


def untrusted(programs: Iterable[Request]) -> tuple[Request, ...]:
    """Return those of some programs and hosts that the user has not agreed to."""
    _trust_named_files()
    trusted = _trusted | _remembered()
    return tuple(program for program in programs if program.key not in trusted)


def _is_host_allowed(name: str) -> bool:
    return not untrusted([Host(name)])


def is_required() -> bool:
    """Return True if untrusted programs are refused in this thread."""
    return _is_required.get()


def require_consent() -> None:
    """Refuse untrusted programs and hosts in this thread from now on."""
    _is_required.set(True)
    restrict_hosts(_is_host_allowed)


@contextmanager
def consent_required(hashes: Iterable[str] = ()) -> Iterator[None]:
    """Refuse untrusted programs and hosts within a block.

    Parameters
    ----------
    hashes : iterable of str
        SHA-256 of programs that are trusted, as the process that asked for this work knows them.
    """
    _trusted.update(hashes)
    token = _is_required.set(True)
    try:
        with hosts_restricted(_is_host_allowed):
            yield
    finally:
        _is_required.reset(token)
        _named.clear()


def read_program(path: Path) -> bytes:
    """Return the content of a program that may be run.

    Raises
    ------
    UntrustedProgramError
        If consent is required, and the user has not agreed to run exactly this content.
    """
    content = path.read_bytes()
    if not _is_required.get():
        return content
    digest = hashlib.sha256(content).hexdigest()
    if not untrusted([Program(path, digest)]):
        return content
    if path.absolute() in _trusted_paths:
        raise UntrustedProgramError(
            f"'{path.name}' changed since you trusted it. Look at it again."
        )
    raise UntrustedProgramError(
        f"'{path.name}' contains a program that you have not trusted, so it was not run. If you "
        "trust its source, open the file and choose 'Trust and use' (as a command, --trust)."
    )


def names_of(programs: Iterable[Request]) -> str:
    """Return the names of files and hosts for a sentence, such as ``'a.pt', 'b.pt'``."""
    names = (p.path.name if isinstance(p, Program) else p.name for p in programs)
    return ", ".join(dict.fromkeys(f"'{name}'" for name in names))


def describe(programs: Iterable[Request]) -> str:
    """Return kinds and names for a question, such as ``a file that contains a program: 'a.pt'``."""
    programs = tuple(programs)
    files = [program for program in programs if isinstance(program, Program)]
    hosts = [program for program in programs if isinstance(program, Host)]
    parts = []
    if files:
        several = len({file.path.name for file in files}) > 1
        kind = "files that contain programs" if several else "a file that contains a program"
        parts.append(f"{kind}: {names_of(files)}")
    if hosts:
        kind = "machines that would be contacted" if len(hosts) > 1 else "a machine to contact"
        parts.append(f"{kind}: {names_of(hosts)}")
    return " and ".join(parts)


def answers_file() -> Path:
    """Return the file with the hashes that the user trusts; it may not exist."""
    import platformdirs

    return platformdirs.user_data_path("napari-quac", appauthor=False) / "trusted-programs.txt"


def _remembered() -> set[str]:
    try:
        return set(answers_file().read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        return set()


def _trust_named_files() -> None:
    """Hash the files that the user has named, once a program is there at all."""
    with _lock:
        paths, _named[:] = [path for path in _named if is_regular_file(path)], []
    trust(program for path in paths for program in _programs_at(path))
