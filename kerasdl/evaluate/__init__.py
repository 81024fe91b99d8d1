"""Measures a trained network on a split: metrics, a table of the classes, calibration, the most confident mistakes.

`__main__` is the command. `measuring` passes over the split once and has all numbers of it (`Evaluation`); `classes`
has precision, recall and F1 of each class, `calibration` the calibration error and the reliability diagram, and
`mistakes` the contact sheet of the most confident mistakes. The confusion matrix is drawn by `kerasdl.figures`.
"""
