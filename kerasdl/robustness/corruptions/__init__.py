"""Corrupted images, as from a poor camera, transmission or drawing, in five severities.

Nineteen corruptions after Hendrycks and Dietterich (2019) and Mu and Gilmer (2019, MNIST-C), for any image size and
for grey, RGB or RGBA. `catalog.py` has the table of severities and `corrupt`, which is all that a caller needs; the
other files hold one kind of corruption each, as functions of images, of one amount and of a random generator.
"""

from kerasdl.robustness.corruptions.catalog import COMMON, CORRUPTIONS, MNIST_C, SEVERITIES, corrupt

__all__ = ["COMMON", "CORRUPTIONS", "MNIST_C", "SEVERITIES", "corrupt"]
