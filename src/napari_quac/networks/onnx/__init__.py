"""ONNX networks as torch modules with gradients, read without further packages."""
