"""A network whose outputs aren't finite has no evaluation."""

import numpy as np

from kerasdl.errors import UserError


def check(values: np.ndarray, name: str, indices: np.ndarray, split: str) -> None:
    """Raises UserError unless all values of an output are finite.

    Args:
        values: float (b, ...).
        name: of the output, for the message.
        indices: int (b,), the index of each example in the source's split.
        split: name of the split.
    """
    broken = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(broken):
        raise UserError(
            f"the network's {name} must be finite. Received: NaN or infinity for example {indices[broken[0]]} of "
            f"{split}. Its weights or its precision overflow: try those of an earlier checkpoint, with checkpoint=best."
        )
