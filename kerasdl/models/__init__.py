"""Architectures, one a file.

Each has a `build(input_shape, classes, **hyperparameters)` that returns a built `keras.Model` from normalised
float images to logits. conf/model/ names it by `_target_` and documents the hyperparameters. A model knows nothing
of data sets, losses or training.
"""
