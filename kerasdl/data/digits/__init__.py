"""The `digits` data set: this project's own TFDS builder over the images that scikit-learn carries."""
