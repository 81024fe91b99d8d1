"""Classifies pictures of any format, size and mode with a trained network.

`__main__` is the command, and `formats` writes predictions as a table, CSV or JSON lines. The predictions themselves
are made by `kerasdl.trained.predicting`, which `kerasdl.load(...).predict` uses, too; pictures are read by
`kerasdl.images`.
"""
