"""How the synthetic electron microscopy images are drawn; the data set is in ``data.synthetic``.

A picture is built up as the eye would: tissue (cells and their membranes), organelles, the
synapse, and last the microscope (blur, grain, contrast). Only the synapse knows of classes.
"""
