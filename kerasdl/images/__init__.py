"""Pictures in: whatever `input=` names, as pixels that a network takes.

`read(inputs, image_shape)` is all that the rest of the program needs. Where pictures come from is `sources`, what one
of them looks like to the network is `decoding`, and reading many at a steady cost of memory is `batches`.
"""

from kerasdl.images.batches import Item, batched, read
from kerasdl.images.decoding import BACKGROUNDS
from kerasdl.images.sources import Input, named

__all__ = ["BACKGROUNDS", "Input", "Item", "batched", "named", "read"]
