"""Explanations of many samples: a plan, its tasks, and who works them off. No Qt, no napari."""
