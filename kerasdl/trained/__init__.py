"""Trained networks, found by their runs; see `kerasdl.trained.network`."""

from kerasdl.trained.network import Trained, examples, load, opened

__all__ = ["Trained", "examples", "load", "opened"]
