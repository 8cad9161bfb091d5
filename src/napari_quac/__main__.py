"""``python -m napari_quac``."""

from napari_quac.cli import main

raise SystemExit(main())
