"""Classifier files as other libraries write them, each with its own probabilities.

Weights are random. The probabilities come from the forward pass of the library that made the file,
on images of its own size, with the preprocessing that the file states or (−1…1) none.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMES = ("ant", "monkey", "zebra")


@dataclass(frozen=True)
class MadeFile:
    """A file, trial images in [0, 1], and what the classifier should return for them."""

    path: Path
    images: Tensor
    probabilities: Tensor | None = None
    class_names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # of the sentence, for a file that cannot be loaded


Maker = Callable[[Path], MadeFile]
MAKERS: dict[str, tuple[int, Maker]] = {}


def makes(rank: int) -> Callable[[Maker], Maker]:
    """Enter a function into the table, with the rank of its file in the reference page."""

    def enter(maker: Maker) -> Maker:
        MAKERS[maker.__name__] = (rank, maker)
        return maker

    return enter


def trial_images(channels: int = 3, *size: int, n: int = 3) -> Tensor:
    """Return smooth images of 8 bits."""
    size = size or (64, 64)
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand((n, channels, *(4 for _ in size)), generator=generator)
    mode = "bilinear" if len(size) == 2 else "trilinear"
    return (nn.functional.interpolate(coarse, size, mode=mode) * 255).round() / 255


def prepared(network: nn.Module, inputs: Tensor) -> nn.Module:
    """Give a network weights whose answers differ between images, and running statistics."""
    torch.manual_seed(1)
    for name, weights in network.named_parameters():
        with torch.no_grad():
            if weights.ndim > 1:
                special = any(word in name for word in ("pos", "token"))
                weights.normal_(0, 0.5 if special else (1.5 / weights[0].numel()) ** 0.5)
            else:
                weights.add_(torch.randn_like(weights) * 0.2)
            if name.endswith(("gamma", "layer_scale", "layer_scale_parameter")):
                weights.normal_(0, 0.5)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
            module.train()
    with torch.no_grad():
        network(inputs)
        network.eval()
        outputs = network(inputs)
        outputs = getattr(outputs, "logits", outputs)
        linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
        if linear:  # answers between 0 and 1
            scale = outputs.std(0).mean()
            linear[-1].weight /= scale
            if linear[-1].bias is not None:
                linear[-1].bias.copy_((linear[-1].bias - outputs.mean(0)) / scale)
    return network


def answers(network: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        outputs = network(inputs)
    return getattr(outputs, "logits", outputs).softmax(1)


def normalized(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


def saved_state(folder: Path, name: str, network: nn.Module, images: Tensor) -> MadeFile:
    network = prepared(network, 2 * images - 1)
    torch.save(network.state_dict(), folder / name)
    return MadeFile(folder / name, images, answers(network, 2 * images - 1))


def torchvision_network(name: str, **settings: Any) -> nn.Module:
    from torchvision.models import get_model

    return get_model(name, weights=None, **{"num_classes": 3, **settings})


@makes(1)
def resnet18_with_facts(folder: Path) -> MadeFile:
    images = trial_images()
    network = prepared(torchvision_network("resnet18"), normalized(images))
    content = {"model": network.state_dict(), "idx_to_class": dict(enumerate(NAMES)),
               "mean": list(MEAN), "std": list(STD), "arch": "resnet18"}  # fmt: skip
    torch.save(content, folder / "best.pth")
    return MadeFile(folder / "best.pth", images, answers(network, normalized(images)), NAMES)


@makes(1)
def resnet50_of_gray_images(folder: Path) -> MadeFile:
    network = torchvision_network("resnet50")
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return saved_state(folder, "resnet50.pth", network, trial_images(1))


@makes(2)
def checkpoint_of_the_reference_script(folder: Path) -> MadeFile:
    images = trial_images()
    network = prepared(torchvision_network("resnext50_32x4d"), 2 * images - 1)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    content = {"epoch": 3, "arch": "resnext50_32x4d", "best_acc1": torch.tensor(71.5),
               "state_dict": {f"module.{n}": t for n, t in network.state_dict().items()},
               "optimizer": optimizer.state_dict()}  # fmt: skip
    torch.save(content, folder / "model_best.pth.tar")
    return MadeFile(folder / "model_best.pth.tar", images, answers(network, 2 * images - 1))


@makes(3)
def whole_resnet18(folder: Path) -> MadeFile:
    images = trial_images()
    network = prepared(torchvision_network("resnet18"), 2 * images - 1)
    torch.save(network, folder / "model.pt")
    return MadeFile(folder / "model.pt", images, answers(network, 2 * images - 1))


@makes(3)
def whole_densenet_in_parallel(folder: Path) -> MadeFile:
    images = trial_images()
    network = prepared(torchvision_network("densenet121"), 2 * images - 1)
    torch.save(nn.DataParallel(network), folder / "model.pt")
    return MadeFile(folder / "model.pt", images, answers(network, 2 * images - 1))


class NotebookNetwork(nn.Module):
    """A network that only its notebook knows."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_a, self.conv_b = nn.Conv2d(3, 8, 5), nn.Conv2d(8, 8, 3)
        self.out = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(torch.tanh(self.conv_b(torch.sin(self.conv_a(images)))).mean((2, 3)))


@makes(4)
def state_of_a_notebook_network(folder: Path) -> MadeFile:
    torch.save(NotebookNetwork().state_dict(), folder / "model.pth")
    return MadeFile(folder / "model.pth", trial_images(), words=("export_classifier",))


@makes(5)
def densenet121(folder: Path) -> MadeFile:
    return saved_state(folder, "densenet.pth", torchvision_network("densenet121"), trial_images())


@makes(5)
def efficientnet_b0(folder: Path) -> MadeFile:
    network = torchvision_network("efficientnet_b0")
    return saved_state(folder, "efficientnet.pth", network, trial_images())


@makes(5)
def mobilenet_v3_small(folder: Path) -> MadeFile:
    network = torchvision_network("mobilenet_v3_small")
    return saved_state(folder, "mobilenet.pth", network, trial_images())


@makes(5)
def convnext_tiny(folder: Path) -> MadeFile:
    return saved_state(folder, "convnext.pth", torchvision_network("convnext_tiny"), trial_images())


@makes(5)
def vision_transformer(folder: Path) -> MadeFile:
    from torchvision.models import VisionTransformer

    network = VisionTransformer(64, 16, 3, 3, 192, 384, num_classes=3)
    return saved_state(folder, "vit.pth", network, trial_images())


@makes(5)
def vgg16_bn(folder: Path) -> MadeFile:
    return saved_state(folder, "vgg16_bn.pth", torchvision_network("vgg16_bn"), trial_images())


@makes(6)
def resnet18_with_batch_norm_in_its_head(folder: Path) -> MadeFile:
    network = torchvision_network("resnet18")
    network.fc = nn.Sequential(
        nn.Linear(512, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 3)
    )
    return saved_state(folder, "resnet.pth", network, trial_images())


@makes(6)
def efficientnet_with_two_linear_layers(folder: Path) -> MadeFile:
    network = torchvision_network("efficientnet_b0")
    network.classifier = nn.Sequential(
        nn.Dropout(0.3), nn.Linear(1280, 32), nn.ReLU(), nn.Linear(32, 3)
    )
    return saved_state(folder, "efficientnet.pth", network, trial_images())


@makes(7)
def lightning_checkpoint(folder: Path) -> MadeFile:
    import pytorch_lightning as pl

    class Classifier(pl.LightningModule):
        def __init__(self, options: argparse.Namespace) -> None:
            super().__init__()
            self.save_hyperparameters({"options": options, "folder": folder})
            self.backbone = torchvision_network("resnet18")
            self.criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 1.0]))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters())

        def forward(self, images: Tensor) -> Tensor:
            return self.backbone(images)

    images = trial_images()
    network = prepared(Classifier(argparse.Namespace(lr=0.001)), 2 * images - 1)
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.strategy.connect(network)
    trainer.save_checkpoint(folder / "last.ckpt")
    return MadeFile(folder / "last.ckpt", images, answers(network, 2 * images - 1))


def timm_folder(folder: Path, name: str, **settings: Any) -> MadeFile:
    import timm
    from timm.models import save_for_hf

    images = trial_images()
    network = timm.create_model(name, num_classes=3, **settings)
    network.pretrained_cfg = {
        **network.pretrained_cfg, "input_size": (3, 64, 64), "crop_pct": 0.9, "mean": MEAN,
        "std": STD, "label_names": list(NAMES), "num_classes": 3,
    }  # fmt: skip
    config = timm.data.resolve_data_config(network.pretrained_cfg)
    transform = timm.data.create_transform(**config)
    pictures = [Image.fromarray((i.permute(1, 2, 0) * 255).byte().numpy()) for i in images]
    inputs = torch.stack([transform(picture) for picture in pictures])
    network = prepared(network, inputs)
    save_for_hf(network, folder, model_args=settings or None, safe_serialization=True)
    return MadeFile(folder, images, answers(network, inputs), NAMES)


@makes(8)
def timm_folder_of_a_vision_transformer(folder: Path) -> MadeFile:
    return timm_folder(folder, "vit_tiny_patch16_224", img_size=64, depth=4)


@makes(8)
def timm_folder_of_a_convnext(folder: Path) -> MadeFile:
    return timm_folder(folder, "convnext_atto")


def fastai_learner(folder: Path, images: Tensor) -> Any:
    from fastai.vision.all import ImageDataLoaders, Normalize, vision_learner

    (folder / "images").mkdir()
    files = []
    for number, image in enumerate(images):
        file = folder / "images" / f"{number}.png"
        Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(file)
        files.append(file)
    loaders = ImageDataLoaders.from_lists(
        folder, files, list(NAMES), valid_pct=0, bs=2, num_workers=0,
        batch_tfms=[Normalize.from_stats(MEAN, STD, cuda=False)],
    )  # fmt: skip
    from torchvision.models import resnet18

    learner = vision_learner(loaders, resnet18, pretrained=False, normalize=False)
    prepared(learner.model, normalized(images))
    learner.model.eval()
    return learner


@makes(8)
def timm_folder_of_an_architecture_by_name(folder: Path) -> MadeFile:
    return timm_folder(folder, "seresnet50")


@makes(5)
def googlenet(folder: Path) -> MadeFile:
    network = torchvision_network("googlenet", aux_logits=False, init_weights=False)
    return saved_state(folder, "googlenet.pth", network, trial_images(3, 96, 96))


@makes(9)
def fastai_weights(folder: Path) -> MadeFile:
    images = trial_images()
    learner = fastai_learner(folder, images)
    learner.path, learner.model_dir = folder, "."
    prepared(learner.model, 2 * images - 1)
    learner.create_opt()
    learner.save("learned")
    return MadeFile(folder / "learned.pth", images, answers(learner.model, 2 * images - 1))


@makes(9)
def fastai_export(folder: Path) -> MadeFile:
    images = trial_images()
    learner = fastai_learner(folder, images)
    network = learner.model
    learner.export(folder / "export.pkl")
    return MadeFile(folder / "export.pkl", images, answers(network, normalized(images)), NAMES)


@makes(10)
def torchscript_program(folder: Path) -> MadeFile:
    images = trial_images(1)
    network = prepared(torchvision_network("mobilenet_v2"), 2 * trial_images() - 1)
    network = nn.Sequential(nn.Conv2d(1, 3, 1), network).eval()
    torch.jit.trace(network, images, check_trace=False).save(str(folder / "model.pt"))
    return MadeFile(folder / "model.pt", images, answers(network, 2 * images - 1))


@makes(10)
def exported_program(folder: Path) -> MadeFile:
    images = trial_images()
    network = prepared(torchvision_network("resnet18"), 2 * images - 1)
    torch.export.save(torch.export.export(network, (images,)), folder / "model.pt2")
    return MadeFile(folder / "model.pt2", images, answers(network, 2 * images - 1))


@makes(11)
def keras_archive(folder: Path) -> MadeFile:
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
        archive.writestr("config.json", json.dumps({"module": "keras", "class_name": "Sequential"}))
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(64))
    return MadeFile(folder / "model.keras", trial_images(), words=("Keras", "onnx"))


@makes(12)
def onnx_network(folder: Path) -> MadeFile:
    images = trial_images()
    network = prepared(torchvision_network("resnet18"), 2 * images - 1)
    torch.onnx.export(
        network, (images,), str(folder / "model.onnx"), input_names=["images"], dynamo=False,
        dynamic_axes={"images": {0: "batch"}},
    )  # fmt: skip
    return MadeFile(folder / "model.onnx", images, answers(network, 2 * images - 1))


def transformers_folder(folder: Path, network: Any) -> MadeFile:
    images = trial_images()
    prepared(network, normalized(images))
    network.save_pretrained(folder)
    processor = {"do_resize": True, "size": {"height": 64, "width": 64}, "do_normalize": True,
                 "image_mean": list(MEAN), "image_std": list(STD), "do_rescale": True,
                 "rescale_factor": 1 / 255,
                 "image_processor_type": "ViTImageProcessor"}  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return MadeFile(folder, images, answers(network, normalized(images)), NAMES)


@makes(13)
def transformers_vision_transformer(folder: Path) -> MadeFile:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=96, num_hidden_layers=3, num_attention_heads=4, intermediate_size=192,
        image_size=64, id2label=dict(enumerate(NAMES)),
    )  # fmt: skip
    return transformers_folder(folder, ViTForImageClassification(config))


@makes(13)
def transformers_resnet(folder: Path) -> MadeFile:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic",
        id2label=dict(enumerate(NAMES)),
    )  # fmt: skip
    return transformers_folder(folder, ResNetForImageClassification(config))


@makes(14)
def monai_densenet_of_volumes(folder: Path) -> MadeFile:
    from monai.networks.nets import DenseNet

    network = DenseNet(3, 1, 3, init_features=16, growth_rate=8, block_config=(3, 4, 4, 2))
    return saved_state(folder, "model.pt", network, trial_images(1, 32, 32, 32))


@makes(14)
def monai_bundle(folder: Path) -> MadeFile:
    from monai.networks.nets import DenseNet121

    images = trial_images(1)
    network = prepared(DenseNet121(2, 1, 3), images)
    (folder / "configs").mkdir()
    (folder / "models").mkdir()
    definition = {"_target_": "DenseNet121", "spatial_dims": 2, "in_channels": 1, "out_channels": 3}
    inputs = {"image": {"num_channels": 1, "spatial_shape": [64, 64], "value_range": [0, 1]}}
    outputs = {"pred": {"channel_def": {str(n): name for n, name in enumerate(NAMES)}}}
    metadata = {"network_data_format": {"inputs": inputs, "outputs": outputs}}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return MadeFile(folder, images, answers(network, images), NAMES)


@makes(15)
def bioimage_package(folder: Path) -> MadeFile:
    import yaml

    images = trial_images(1)
    network = torchvision_network("resnet18")
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    inputs = (images * 255 - 100) / 50
    network = prepared(network, inputs)
    torch.jit.trace(network, inputs).save(str(folder / "weights.pt"))
    preprocessing = [{"name": "scale_linear", "kwargs": {"gain": 1 / 50, "offset": -2.0}}]
    description = {
        "format_version": "0.4.10", "type": "model", "name": "classifier",
        "inputs": [{"name": "raw", "axes": "bcyx", "shape": [1, 1, 64, 64], "data_type": "float32",
                    "data_range": [0, 255], "preprocessing": preprocessing}],
        "outputs": [{"name": "classes", "axes": "bc", "shape": [1, 3]}],
        "weights": {"torchscript": {"source": "weights.pt"}},
    }  # fmt: skip
    path = folder / "package.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", yaml.safe_dump(description))
        archive.write(folder / "weights.pt", "weights.pt")
    return MadeFile(path, images, answers(network, inputs))


@makes(17)
def scikit_learn_forest(folder: Path) -> MadeFile:
    import joblib
    from sklearn.ensemble import RandomForestClassifier

    features = np.random.default_rng(0).random((20, 4))
    forest = RandomForestClassifier(3).fit(features, np.arange(20) % 3)
    joblib.dump(forest, folder / "forest.joblib")
    return MadeFile(folder / "forest.joblib", trial_images(), words=("scikit-learn",))
