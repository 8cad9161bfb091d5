"""CycleGAN and pix2pix: one network for each pair of source and target class."""
