"""One run's page: everything that MLflow has of it in one HTML file that needs nothing else.

`gathering` reads the run, `attachments` its files, `charts` draws its course, `reproduction` finds the command that
repeats it, and `page` writes it all down. TensorFlow isn't needed.
"""
