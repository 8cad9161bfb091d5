"""The built-in attribution methods by name; other packages add theirs by entry point."""

from napari_quac.registry import Registry

METHODS = Registry(
    "method",
    "napari_quac.attributions",
    {
        "d-ig": "napari_quac.explain.methods.gradients:DiscriminativeIG",
        "d-deeplift": "napari_quac.explain.methods.deeplift:DiscriminativeDeepLift",
        "d-ingrad": "napari_quac.explain.methods.gradients:DiscriminativeInputGradient",
        "d-gc": "napari_quac.explain.methods.gradcam:StereoGradCam",
        "d-ggc": "napari_quac.explain.methods.gradcam:StereoGuidedGradCam",
        "ig": "napari_quac.explain.methods.gradients:VanillaIG",
        "deeplift": "napari_quac.explain.methods.deeplift:VanillaDeepLift",
        "ingrad": "napari_quac.explain.methods.gradients:InputGradient",
        "gc": "napari_quac.explain.methods.gradcam:GradCam",
        "ggc": "napari_quac.explain.methods.gradcam:GuidedGradCam",
        "smoothgrad": "napari_quac.explain.methods.smoothgrad:SmoothGrad",
        "lrp": "napari_quac.explain.methods.lrp:LayerwiseRelevance",
        "occlusion": "napari_quac.explain.methods.perturbation:Occlusion",
        "ablation": "napari_quac.explain.methods.perturbation:SuperpixelAblation",
        "shapley": "napari_quac.explain.methods.perturbation:SuperpixelShapley",
        "residual": "napari_quac.explain.methods.baselines:Residual",
        "random": "napari_quac.explain.methods.baselines:Random",
        "fido": "napari_quac.explain.methods.fido:Fido",
        "fido-ssr": "napari_quac.explain.methods.fido:FidoSSR",
        "fido-sdr": "napari_quac.explain.methods.fido:FidoSDR",
        "bbmp": "napari_quac.explain.methods.fido:BBMP",
    },
    needs=("label", "attribute"),
)
