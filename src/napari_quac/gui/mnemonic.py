"""Push buttons that Alt and an underlined letter press."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtWidgets import QPushButton

MNEMONICS: Mapping[str, str] = {
    # Set up
    "check_labels_button": "M",
    "explore_button": "E",
    "open_button": "O",
    "train_button": "G",
    "try_example_button": "Y",
    "use_layer_button": "U",
    # Explore
    "compare_button": "M",
    "explain_button": "E",
    "next_misprediction_button": "N",
    "optimum_button": "O",
    "side_by_side_button": "I",
    # Study
    "exaggerate_button": "G",
    "exaggeration_change_button": "M",
    # below the canvas, beside every stage
    "explain_these_button": "X",
    "predict_all_button": "R",
}
"""Letters by object name; no letter is used twice at one time, nor by a menu of napari."""


class MnemonicButton(QPushButton):
    """A push button whose letter is listed under its name.

    Parameters
    ----------
    text : str
        Without the sign of the mnemonic.
    name : str
        Object name.
    """

    def __init__(self, text: str, name: str) -> None:
        super().__init__()
        self._letter = MNEMONICS.get(name, "")
        self.setText(text)

    def setText(self, text: str) -> None:
        """Set the text, and underline its letter where the platform does so."""
        at = text.upper().find(self._letter) if self._letter else -1
        super().setText(text if at < 0 else f"{text[:at]}&{text[at:]}")

    def text(self) -> str:
        """Return the text without the sign of the mnemonic."""
        text = str(super().text())
        return text.replace("&", "", 1) if self._letter else text
