"""Writes a trained network as files that run elsewhere, each one checked to be the same network.

`__main__` is the command. `formats` has a module for each kind of file, which writes it and loads it again in its own
runtime, and `source` the float32 network that all are made from. `making` makes one file; `verification` compares it
with Keras under the limits of `tolerance`. `table` shows the comparison, `card` writes the model card, `samples` its
example, and `folder` puts the directory in place as a whole.
"""
