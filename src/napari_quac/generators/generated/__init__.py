"""Previously generated images, read from the folders of the QuAC library."""

STYLES = ("latent", "reference")
