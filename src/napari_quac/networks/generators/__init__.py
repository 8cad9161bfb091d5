"""The built-in generators by name; other packages add theirs by entry point."""

from napari_quac.registry import Registry

BUILTIN = {
    "stargan": "napari_quac.networks.generators.stargan:StarGANRecipe",
    "fido": "napari_quac.networks.generators.fido_infill:FidoRecipe",
    "cyclegan": "napari_quac.networks.generators.cyclegan:CycleGANRecipe",
    "warp": "napari_quac.networks.generators.warp:WarpRecipe",
    "exaggeration": "napari_quac.networks.generators.exaggeration:ExaggerationRecipe",
    "program": "napari_quac.networks.generators.program:ProgramRecipe",
    "from-folder": "napari_quac.networks.generators.from_folder:PrecomputedRecipe",
}

GENERATORS = Registry("generator", "napari_quac.generators", BUILTIN, needs=("load",))
