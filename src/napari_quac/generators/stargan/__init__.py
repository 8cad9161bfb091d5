"""StarGAN v2: one network that turns a query into any of its classes, by a style."""
