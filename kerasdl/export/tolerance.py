"""How far a file may be from Keras, format by format, and why.

For a model that gives a label, limits are on three things over the examples of the check: the largest difference of any
probability, the share of examples that get another label, and how much accuracy is lost. Other outputs have one limit:
on the largest difference as a share of the output's range. Limits don't depend on the network, so they leave room for
deep ones; the model card has what was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """The limits of a format.

    Attributes:
        difference: largest difference of a probability from Keras's, in [0, 1].
        value_difference: largest difference of any other output from Keras's, as a share of the output's range.
        disagreement: share of examples with another label, in [0, 1]. One example is always allowed: a tie.
        accuracy_loss: share of examples, in [0, 1], by which fewer are right. One example is always allowed.
        reason: why.
    """

    difference: float
    value_difference: float
    disagreement: float
    accuracy_loss: float
    reason: str

    def complaint(self, difference: float, disagreeing: int, lost: int, examples: int) -> str:
        """Returns how far the limits are exceeded, or "".

        Args:
            difference: the largest difference of a probability; NaN is too large.
            disagreeing: number of examples with another label.
            lost: by how many examples fewer are right; negative if more are.
            examples: number of examples, >= 1.
        """
        if not difference <= self.difference:
            return f"a probability differs from Keras by {difference:.3g}, tolerated {self.difference:g}"
        if disagreeing > max(1, self.disagreement * examples):
            allowed = max(1, int(self.disagreement * examples))
            return f"{disagreeing} of {examples:,} labels differ from Keras, tolerated {allowed}"
        if lost > max(1, self.accuracy_loss * examples):
            points = 100 * lost / examples
            return f"accuracy is {points:.2f} points below Keras, tolerated {100 * self.accuracy_loss:.2f}"
        return ""

    def complaint_of_values(self, differences: Mapping[str, float]) -> str:
        """Returns which output exceeds the limit, and how far, or "".

        Args:
            differences: for each output the largest difference, as a share of its range; NaN is too large.
        """
        for name, difference in differences.items():
            if not difference <= self.value_difference:
                return (
                    f"{name} differs from Keras by {difference:.3g} of its range, tolerated {self.value_difference:g}"
                )
        return ""


# difference, value difference, disagreement, accuracy loss
TOLERANCES = {
    "keras": Tolerance(1e-6, 1e-6, 0.0, 0.0, "the same code on the same numbers"),
    "savedmodel": Tolerance(1e-5, 1e-5, 0.0, 0.0, "the same operations, compiled as another graph"),
    "litert": Tolerance(1e-4, 1e-4, 0.0, 0.0, "float32 by other kernels, which add in another order"),
    "litert_fp16": Tolerance(0.03, 0.01, 0.005, 0.003, "weights rounded to 11 bits: 1 in 2,000"),
    "litert_int8": Tolerance(0.5, 0.1, 0.03, 0.003, "everything in 256 steps: examples between two classes swing"),
    "onnx": Tolerance(1e-4, 1e-4, 0.0, 0.0, "float32 by other kernels, which add in another order"),
}
