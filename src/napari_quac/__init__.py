"""Ask a trained image classifier what it sees: counterfactuals, attributions and masks.

Public names load on first use, so ``import napari_quac`` needs neither PyTorch nor Qt.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__version__ = "0.1.0"
