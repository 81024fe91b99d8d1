"""Compares kerasdl with plain Keras, and with PyTorch if it is installed, on the classic MNIST network.

`__main__` is the command. It runs programs, each in a process of its own: `ours` is `kerasdl.train` itself, `keras_fit`
and `torch_mnist` are what tutorials write. All train with batch 64, SGD 0.01 and momentum 0.5 on the same 60,000 images
and print a `measurement.Measurement` at their end. `sweeping` compares sweeps instead.
"""
