"""The rating window: a process of its own, without napari, networks, classes and the key."""
