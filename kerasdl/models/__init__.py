"""Architectures, one per file.

Each has a `build(...)` that takes what the data and the task decide (`input_shape`, `classes`, ...) and
hyperparameters, and returns a built `keras.Model`. conf/model/ names it by `_target_` and documents the
hyperparameters. A model doesn't know data sets, losses or training.
"""
