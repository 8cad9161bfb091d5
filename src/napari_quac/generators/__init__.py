"""The built-in generators by name; other packages add theirs by entry point."""

from napari_quac.registry import Registry

BUILTIN = {
    "stargan": "napari_quac.generators.stargan.recipe:StarGANRecipe",
    "fido": "napari_quac.generators.fido.recipe:FidoRecipe",
    "cyclegan": "napari_quac.generators.cyclegan.recipe:CycleGANRecipe",
    "warp": "napari_quac.generators.warp.recipe:WarpRecipe",
    "exaggeration": "napari_quac.generators.exaggeration.recipe:ExaggerationRecipe",
    "program": "napari_quac.generators.program.recipe:ProgramRecipe",
    "from-folder": "napari_quac.generators.generated.recipe:PrecomputedRecipe",
}

GENERATORS = Registry("generator", "napari_quac.generators", BUILTIN, needs=("load",))

TRAININGS = Registry(
    "generator training",
    "napari_quac.trainings",
    {
        "stargan": "napari_quac.generators.stargan.training_settings:StarGANTrainingSettings",
        "cyclegan": "napari_quac.generators.cyclegan.training_settings:CycleGANTrainingSettings",
        "exaggeration": "napari_quac.generators.exaggeration.training_settings:"
        "ExaggerationTrainingSettings",
        "warp": "napari_quac.generators.warp.training_settings:WarpTrainingSettings",
    },
    needs=("TASK", "FILES"),
)
"""Settings classes of the families that can be trained; listing them loads no PyTorch."""
