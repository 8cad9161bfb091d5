"""The program ``napari-quac``, and ``python -m napari_quac``."""

import os
import sys

from napari_quac import interruption


def main() -> int:
    """Run the command line of the process; signals stop it from the first import on."""
    try:
        return _main()
    except KeyboardInterrupt:  # another signal, while the first one was being handled
        return interruption.exit_code()
    finally:
        interruption.restore_default()


def _main() -> int:
    interruption.raise_on_signals()
    try:
        for descriptor in range(3):  # a file that is opened later must not become the output
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
        from napari_quac.cli import main as run

        return run()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("napari-quac: stopped.\n")
        return interruption.exit_code()


if __name__ == "__main__":
    sys.exit(main())
