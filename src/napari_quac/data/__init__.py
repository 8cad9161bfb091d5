"""Where images come from; kinds of samples by name, to which other packages add by entry point."""

from napari_quac.registry import Registry

DATASETS = Registry(
    "kind of samples",
    "napari_quac.datasets",
    {
        "folder": "napari_quac.data.recipes:ImageFolderRecipe",
        "files": "napari_quac.data.recipes:ImageFilesRecipe",
        "synthetic": "napari_quac.data.recipes:SyntheticRecipe",
    },
)
