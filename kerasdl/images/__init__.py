"""Reads the pictures that `input=` names, as pixels that a network takes.

The rest of the program only needs `read(inputs, image_shape)`. `sources` finds the pictures, `decoding` converts one of
them for the network, and `batches` reads many of them in constant memory.
"""

from kerasdl.images.batches import Item, batched, read
from kerasdl.images.decoding import BACKGROUNDS
from kerasdl.images.sources import Input, named

__all__ = ["BACKGROUNDS", "Input", "Item", "batched", "named", "read"]
