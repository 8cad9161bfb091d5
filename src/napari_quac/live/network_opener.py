"""Opening of network files, with the consent of the user to run the programs in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from napari_quac.generators.opening import RecognizedNetwork, recognize_network
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.networks.consent import Request, UntrustedProgramError, describe, untrusted


class NetworkOpener(Protocol):
    """Opens network files; may ask the user before it runs a program."""

    def open_path(self, path: Path) -> None:
        """Inspect a file or folder and use it."""

    def use_network(self, network: RecognizedNetwork) -> None:
        """Use a file that was inspected before."""

    def with_consent(
        self, origin: str, programs: Sequence[Request], use: Callable[[], None]
    ) -> None:
        """Call ``use`` once the user has agreed to run all of these programs.

        Parameters
        ----------
        origin : str
            Names where the programs are named, such as ``the plan 'plan.yaml'``.
        programs : sequence of Request
            Without untrusted ones, the work continues at once.
        use : callable
            Continues the work.
        """


class TrustedNetworks:
    """Opens network files without a window; refuses programs that are not trusted.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def open_path(self, path: Path) -> None:
        """Inspect a file or folder and use it."""
        status_text, recognize = f"inspecting '{path.name}'", partial(recognize_network, path)
        self._controller.run("recognize network", status_text, recognize, self.use_network)

    def use_network(self, network: RecognizedNetwork) -> None:
        """Use a file that was inspected before."""
        self.with_consent(
            f"the {network.role}",
            network.programs,
            partial(setattr, self._controller.choices, network.role, network.recipe),
        )

    def with_consent(
        self, origin: str, programs: Sequence[Request], use: Callable[[], None]
    ) -> None:
        """Call ``use`` if all programs are trusted, else fail."""
        if not (unknown := untrusted(programs)):
            use()
            return
        error = UntrustedProgramError(
            f"{origin[:1].upper()}{origin[1:]} names {describe(unknown)}, which "
            "needs your consent. If you trust the source, pass it to "
            "napari_quac.networks.consent.trust."
        )
        self._controller.failed.emit(failure("consent", "opening a network", error))
