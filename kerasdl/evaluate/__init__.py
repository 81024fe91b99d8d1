"""Measures a trained network on a split, whatever its task: metrics, predictions, pictures.

`__main__` is the command. `measuring` passes over the split once. `examples` keeps what any task gives.
`classification` is for models that give a label: `classes` has precision, recall and F1 of each class, `calibration`
the calibration error and the reliability diagram, and `mistakes` the contact sheet of the most confident mistakes.
"""
