"""Figures for print: pairs, galleries and curves, with legend, data and hashes of their records.

``curves`` draws populations, ``pair`` one explanation, ``gallery`` many, ``comparison`` all methods
side by side; ``panels`` holds what they share, ``output`` writes the files. The quick look of
notebooks is :meth:`napari_quac.explain.explanation.Explanation.plot`.
"""
