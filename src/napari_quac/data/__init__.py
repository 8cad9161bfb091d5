"""Sources of images, registered by name; other packages add theirs by entry point."""

from napari_quac.registry import Registry

DATASETS = Registry(
    "source of samples",
    "napari_quac.datasets",
    {
        "folder": "napari_quac.data.image_datasets:ImageFolderRecipe",
        "files": "napari_quac.data.image_datasets:ImageFilesRecipe",
        "stack": "napari_quac.data.labeled_stack:LabeledStackRecipe",
        "synthetic": "napari_quac.data.synthetic:SyntheticRecipe",
        "synthetic-shapes": "napari_quac.data.synthetic:SyntheticShapesRecipe",
        "volume-points": "napari_quac.data.volume_points_recipe:VolumePointsRecipe",
    },
)
