"""Predicts from pictures of any format, size and mode, or from tables, with a trained network.

`__main__` is the command, and `plan` decides what goes where. `formats` writes labels, and `numbers` numbers, as a
table, CSV or JSON lines; `arrays` writes an `.npz` file, and `pictures` a folder of images. The predictions themselves
are made by `kerasdl.trained.predicting`, which `kerasdl.load(...).predict` uses, too; pictures are read by
`kerasdl.images`, tables by `kerasdl.trained.tables`.
"""
