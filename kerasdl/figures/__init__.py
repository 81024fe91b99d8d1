"""Figures that several commands draw: learning curves, the confusion matrix, and panels for pictures made of pictures.

They are drawn with matplotlib's objects (`Figure`), not with pyplot: no global state, no display, any thread.
"""
