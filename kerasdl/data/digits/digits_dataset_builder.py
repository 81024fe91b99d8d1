"""Optical recognition of handwritten digits, 8x8: a TFDS builder that downloads nothing.

The images are the ones inside scikit-learn, so that a whole experiment, preparation included, runs in seconds with no
network. Importing this module registers the builder with TFDS as `digits`.
"""

import numpy as np
import tensorflow_datasets as tfds

_TEST_EXAMPLES = 360


class Builder(tfds.core.GeneratorBasedBuilder):
    """1,797 grey images of 8x8 pixels, in 10 classes, with a fixed, stratified test split of 360."""

    name = "digits"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Pixels 0..16 scaled to 0..255; 1,437 train and 360 test examples."}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Test part of the UCI data set Optical Recognition of Handwritten Digits, as scikit-learn has it: each "
                "pixel counts the dark pixels, 0 to 16, of a 4x4 block of a 32x32 bitmap, scaled here to 0..255."
            ),
            homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
            supervised_keys=("image", "label"),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
                }
            ),
            license="CC BY 4.0",
            citation=(
                "@misc{alpaydin1998optical, title={Optical Recognition of Handwritten Digits}, "
                "author={Alpaydin, E. and Kaynak, C.}, year={1998}, publisher={UCI Machine Learning Repository}, "
                "doi={10.24432/C50P49}}"
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.rint(digits.images * 255 / 16).astype(np.uint8)[..., None]
        labels = digits.target.astype(np.int64)
        test = _stratified(labels, _TEST_EXAMPLES)
        train = np.setdiff1d(np.arange(len(labels)), test)
        return {
            "train": self._generate_examples(images, labels, train),
            "test": self._generate_examples(images, labels, test),
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray, chosen: np.ndarray):
        for index in chosen:
            yield int(index), {"image": images[index], "label": int(labels[index])}


def _stratified(labels: np.ndarray, count: int) -> np.ndarray:
    # Evenly spaced picks from the examples in order of class hit each class in proportion. RandomState's stream is
    # frozen by NumPy, so that version 1.0.0 of the data set is the same everywhere.
    shuffled = np.random.RandomState(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    picks = (np.arange(count) + 0.5) * len(labels) / count
    return np.sort(by_class[picks.astype(np.int64)])
