"""The registry of units is built beside the window, and never replaces one in use."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
import pint
from napari_quac.gui.world_units import load_unit_registry
calls = []
{before}
first = pint.get_application_registry().get()
thread = threading.Thread(target=load_unit_registry, args=(calls.append,))
thread.start()
thread.join()
{between}
for call in calls:
    call()
registry = pint.get_application_registry().get()
print(type(registry).__name__, registry is first, len(calls))
assert round((3 * pint.Unit("um")).to("nanometer").magnitude) == 3000
"""


def run(before: str = "", between: str = "") -> str:
    program = PROGRAM.format(before=before, between=between)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_registry_is_ready_before_the_first_layer() -> None:
    assert run() == "UnitRegistry False 1"


def test_a_registry_in_use_stays() -> None:
    assert run(before="pint.Unit('m')") == "UnitRegistry True 0"
    assert run(between="pint.Unit('m')") == "UnitRegistry True 1"
