"""How far a file may be from Keras, format by format, and why.

Limits are on three things over the images of the check: the largest difference of any probability, the share of images
that get another label, and how much accuracy is lost. They don't depend on the network, so they leave room for deep
ones; the model card has what was measured.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """The limits of a format.

    Attributes:
        difference: largest difference of a probability from Keras's, in [0, 1].
        disagreement: share of images with another label, in [0, 1]. One image is always allowed: a tie.
        accuracy_loss: share of images, in [0, 1], by which fewer are right. One image is always allowed.
        reason: why.
    """

    difference: float
    disagreement: float
    accuracy_loss: float
    reason: str

    def complaint(self, difference: float, disagreeing: int, lost: int, images: int) -> str:
        """Returns how far the limits are exceeded, or "".

        Args:
            difference: the largest difference of a probability; NaN is too large.
            disagreeing: number of images with another label.
            lost: by how many images fewer are right; negative if more are.
            images: number of images, >= 1.
        """
        if not difference <= self.difference:
            return f"a probability differs from Keras by {difference:.3g}, tolerated {self.difference:g}"
        if disagreeing > max(1, self.disagreement * images):
            allowed = max(1, int(self.disagreement * images))
            return f"{disagreeing} of {images:,} labels differ from Keras, tolerated {allowed}"
        if lost > max(1, self.accuracy_loss * images):
            points = 100 * lost / images
            return f"accuracy is {points:.2f} points below Keras, tolerated {100 * self.accuracy_loss:.2f}"
        return ""


# difference, disagreement, accuracy loss
TOLERANCES = {
    "keras": Tolerance(1e-6, 0.0, 0.0, "the same code on the same numbers"),
    "savedmodel": Tolerance(1e-5, 0.0, 0.0, "the same operations, compiled as another graph"),
    "litert": Tolerance(1e-4, 0.0, 0.0, "float32 by other kernels, which add in another order"),
    "litert_fp16": Tolerance(0.03, 0.005, 0.003, "weights rounded to 11 bits: 1 in 2,000"),
    "litert_int8": Tolerance(0.5, 0.03, 0.003, "everything in 256 steps: images between two classes swing"),
    "onnx": Tolerance(1e-4, 0.0, 0.0, "float32 by other kernels, which add in another order"),
}
