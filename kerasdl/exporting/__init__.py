"""A trained network as files that run elsewhere, with proof that each one is the same network.

`formats` lists the kinds of file; each has a small module that writes one and loads it again in its own runtime.
`verification` compares them with Keras under the limits of `tolerance`, `card` writes it all down. Whose network it
is, and where results are kept, is left to `kerasdl.export`.
"""
