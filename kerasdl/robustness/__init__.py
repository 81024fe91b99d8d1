"""Measures a network's accuracy on images that are attacked or corrupted.

`__main__` is the command. `measuring` runs the network on clean, attacked and corrupted examples; `scores` holds the
results and writes them as CSV, `tables` prints them, `pictures` draws them, `progress` shows how far the command is.
`corruptions` has the corruptions with their five severities; the attacks are `kerasdl.attacks`, since training uses
them, too.
"""
