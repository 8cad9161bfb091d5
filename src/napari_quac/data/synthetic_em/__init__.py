"""Drawing of synthetic electron microscopy images; the datasets are in ``data.synthetic``.

An image consists of tissue (cells and their membranes), organelles, the synapse, and the effects
of the microscope (blur, grain, contrast). Only the synapse depends on the class.
"""
