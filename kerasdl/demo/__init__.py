"""A page in the browser on which to draw a digit, or place a picture, and see what a trained network makes of it.

`__main__` serves it, `page` builds it with Gradio, and `drawing` turns what was drawn into an image as MNIST has them.
The heat map is that of `kerasdl.explain`.
"""
