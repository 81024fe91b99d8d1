"""One run's page: everything that MLflow has of it in one HTML file that needs nothing else.

`command` is `python -m kerasdl.report run=...`. `gathering` reads the run into a `Page`: `attachments` reads its files,
`charts` draws its curves, `facts` has its summary, environment and configuration, `reproduction` finds the command that
repeats it, and `next_steps` the commands that use it. `document` writes the page as HTML. TensorFlow isn't needed.
"""
