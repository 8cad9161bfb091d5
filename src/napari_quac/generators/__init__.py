"""Generator families by id, one package each; other packages add theirs by entry point."""

from napari_quac.registry import Registry

BUILTIN = {
    "stargan": "napari_quac.generators.stargan.recipe:StarGANRecipe",
    "cyclegan": "napari_quac.generators.cyclegan.recipe:CycleGANRecipe",
    "exaggeration": "napari_quac.generators.exaggeration.recipe:ExaggerationRecipe",
    "warp": "napari_quac.generators.warp.recipe:WarpRecipe",
    "generated": "napari_quac.generators.generated.recipe:GeneratedRecipe",
    "program": "napari_quac.generators.program.recipe:ProgramRecipe",
    "fido": "napari_quac.generators.fido.recipe:FidoRecipe",
    "infill": "napari_quac.generators.infill.recipe:InfillRecipe",
}

FORMER_IDS = {
    "from-folder": "generated",
    "precomputed": "generated",
    "translation": "cyclegan",
    "simulator": "warp",
    "deformation": "warp",
    "explainer": "exaggeration",  # wording: id of before
    "bins": "exaggeration",
}
"""Earlier names of the families, which are still read everywhere."""

GENERATORS = Registry(
    "generator",
    "napari_quac.generators",
    BUILTIN,
    needs=("load", "from_file", "paths"),
    former=FORMER_IDS,
)
