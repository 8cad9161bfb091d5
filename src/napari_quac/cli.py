"""The command line: the same core as the window, with an exit code.

Nothing heavy is imported to show the help; each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import errno
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from napari_quac import __version__, large_files
from napari_quac.commands import (
    check,
    compare,
    demo,
    exaggerate,
    explain,
    figure,
    inspect,
    methods,
    predict,
    report,
    run,
    score,
    study,
    train,
)
from napari_quac.commands.output import OutputError, drop_output, notify, safe_streams
from napari_quac.data.remote.sign_in import allow_sign_in
from napari_quac.errors import QuacError, is_out_of_memory, one_line
from napari_quac.interruption import exit_code, interruptible, stop_requested

_NEGATIVE = re.compile(r"-(inf|infinity|nan|\d*\.?\d+e[+-]?\d+)", re.IGNORECASE)
DONE, INTERNAL_ERROR, WRONG_INPUT = 0, 1, 2
LEAST_BYTES = 768 << 20
COMMANDS = (
    demo, inspect, check, methods, predict, explain, exaggerate, run, report, figure, score,
    compare, study, train,
)  # fmt: skip


class OneSentenceParser(argparse.ArgumentParser):
    """A parser with error messages of one line that name the help."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with the code of wrong input."""
        sentence = message[:1].upper() + message[1:].rstrip(".")
        self.exit(WRONG_INPUT, f"{self.prog}: {sentence}. See '{self.prog} --help'.\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = OneSentenceParser(
        prog="napari-quac",
        description="Ask a trained image classifier what it sees.",
        epilog="Exit code 0: done. 2: the input is wrong; one line on standard error says what is "
        "wrong and how to fix it. 1: internal error. 130 and 143: stopped by Control-C or SIGTERM.",
    )
    parser.add_argument("--version", action="version", version=f"napari-quac {__version__}")
    parser.set_defaults(trust=False, sign_in=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0 done, 2 wrong input, 1 internal error, 130 and 143 stopped by Control-C or SIGTERM.
    """
    with interruptible(), safe_streams():
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        except KeyboardInterrupt:
            return _stopped()


def _run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    try:
        try:
            options = build_parser().parse_args([_mark_number(text) for text in arguments])
            _check_memory_limit()
            large_files.announce = notify
            allow_sign_in(options.sign_in)
            with _consent(options):
                options.run(options)
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except (QuacError, run.FaultsError) as error:
        notify(f"napari-quac: {one_line(error, limit=None)}")
        if cell := getattr(error, "cell", ""):
            notify(f"A cell for that notebook:\n\n{cell}")
        if isinstance(error, OutputError):
            drop_output()
        return WRONG_INPUT if isinstance(error, QuacError) else INTERNAL_ERROR
    except BrokenPipeError:
        # the reader of the output has closed it, as `| head` does; nothing more can be written
        drop_output()
        return DONE
    except Exception as error:  # noqa: BLE001 - the outermost handler, which prints everything
        if stop_requested.is_set():  # a library has replaced the KeyboardInterrupt
            return _stopped()
        if is_out_of_memory(error):
            notify("napari-quac: memory ran out. Close other programs, or choose smaller images.")
            return WRONG_INPUT
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            problem = "a path is longer than the file system allows"
            notify(f"napari-quac: {problem}. Choose a shorter one.")
            return WRONG_INPUT
        traceback.print_exc()
        notify("napari-quac: Internal error: please report the lines above.")
        return INTERNAL_ERROR
    return DONE


@contextmanager
def _consent(options: argparse.Namespace) -> Iterator[None]:
    """Refuse programs that the command does not name itself, unless it has ``--trust``."""
    if options.trust:
        yield
        return
    from napari_quac.networks.consent import consent_required, hosts_in, trust, trust_named

    with consent_required():
        if options.command != "inspect":  # which describes a file before it is trusted
            trust_named(_named_paths(vars(options).values()))
            trust(hosts_in(vars(options)))
        yield


def _named_paths(arguments: Iterable[Any]) -> Iterator[Path]:
    """Yield what may be a path in parsed arguments, such as that in ``SOURCE:TARGET=FILE``."""
    for argument in arguments:
        if isinstance(argument, Path):
            yield argument
        elif isinstance(argument, str):
            parts = argument.split("=")
            yield from (Path("=".join(parts[n:])) for n in range(len(parts)))
        elif isinstance(argument, list | tuple):
            yield from _named_paths(argument)


def _check_memory_limit() -> None:
    """Refuse a limit below which NumPy waits for ever for memory, or PyTorch cannot be loaded.

    Raises
    ------
    QuacError
        With the limit.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= limit < LEAST_BYTES:
        raise QuacError(
            f"This process may use {limit >> 20} MB of memory, and needs {LEAST_BYTES >> 20} MB. "
            "Raise the limit (ulimit -v)."
        )


def _mark_number(text: str) -> str:
    """Return an argument so that argparse does not take a negative number for an option."""
    return f" {text}" if _NEGATIVE.fullmatch(text) else text


def _stopped() -> int:
    notify("napari-quac: stopped; finished results are preserved.")
    return exit_code()
