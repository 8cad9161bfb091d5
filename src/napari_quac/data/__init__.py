"""Sources of images, registered by name; other packages add theirs by entry point."""

from napari_quac.registry import Registry

DATASETS = Registry(
    "source of samples",
    "napari_quac.datasets",
    {
        "folder": "napari_quac.data.recipes:ImageFolderRecipe",
        "files": "napari_quac.data.recipes:ImageFilesRecipe",
        "synthetic": "napari_quac.data.recipes:SyntheticRecipe",
        "synthetic-shapes": "napari_quac.data.recipes:SyntheticShapesRecipe",
        "volume-points": "napari_quac.data.volume_points_recipe:VolumePointsRecipe",
    },
)
