"""Cells to paste into the notebook that holds a classifier whose file cannot be read."""

from __future__ import annotations

import re
from pathlib import PurePath


def export_cell(class_name: str, file_name: str) -> str:
    """Return a notebook cell that exports a classifier whose file cannot be read.

    Parameters
    ----------
    class_name : str
        Of the network, such as ``"SmallNet"``; empty if it is unknown.
    file_name : str
        Of the file that cannot be read.
    """
    name = class_name.rpartition(".")[2]
    name = name if re.fullmatch(r"[^\W\d]\w*", name) else "YourNetwork"
    exported = PurePath(file_name).stem + ".pt2"
    return f"""\
# In the notebook that trained {name}, after: pip install napari-quac
import torch
from napari_quac import export_classifier

model = torch.load({file_name!r}, map_location="cpu", weights_only=False)
if not isinstance(model, torch.nn.Module):  # the file holds only weights
    weights, model = model, {name}()  # with the arguments of the training
    model.load_state_dict(weights.get("state_dict", weights))
export_classifier(
    model,
    {exported!r},
    classes=train_data.classes,  # class names in output order
    preprocessing=validation_transform,  # or mean=[…], std=[…], or "imagenet"
    example=validation_data[0][0],  # one image as the network receives it
)
"""


def keras_cell(file_name: str) -> str:
    """Return a notebook cell that exports a network of Keras or TensorFlow as ONNX."""
    exported = PurePath(file_name).stem + ".onnx"
    return f"""\
# pip install keras tensorflow onnx
import keras

model = keras.models.load_model({file_name!r})
model.export({exported!r}, format="onnx")
"""
