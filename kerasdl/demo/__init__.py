"""Serves a page on which to draw a digit, or put a picture, and watch a trained network classify it.

`__main__` serves it, `page` builds it with Gradio, and `drawing` turns what was drawn into an image as MNIST has them.
The heat map is that of `kerasdl.explain`.
"""
