"""Predictions and the scores computed from them: the same in training, in evaluation and under attack.

Functions of tensors work inside and outside a compiled step, and outside also take arrays. A network that has diverged
gives NaN: such an example never counts as correct, whatever `argmax` and comparisons return for it.
"""

import numpy as np
import tensorflow as tf


def predictions(logits: tf.Tensor) -> tf.Tensor:
    """Returns the class of the highest logit, the first of equal ones; -1, which is not a class, where a logit is NaN.

    Args:
        logits: (b, classes).

    Returns:
        int64 (b,).
    """
    return tf.where(_has_nan(logits), tf.constant(-1, tf.int64), tf.argmax(logits, axis=-1))


def ranks(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns how many classes have a higher logit than the true one; all of them where a logit is NaN.

    Classes with a logit equal to the true one's don't count, as in Keras's top-k accuracy; an example is among the top
    k if its rank is below k.

    Args:
        labels: int64 (b,), the true classes.
        logits: (b, classes).

    Returns:
        int32 (b,), 0..classes.
    """
    logits = tf.convert_to_tensor(logits)
    true = tf.gather(logits, labels[:, None], batch_dims=1)
    higher = tf.reduce_sum(tf.cast(logits > true, tf.int32), axis=-1)
    return tf.where(_has_nan(logits), tf.shape(logits)[-1], higher)


def confusion(
    labels: tf.Tensor,
    predicted: tf.Tensor,
    classes: int,
    dtype: tf.DType = tf.float32,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns the confusion matrix: how many examples of each class (rows) were predicted as each class (columns).

    An example without a prediction also counts as a mistake: as predicted to be the class after its own.

    Args:
        labels: int64 (b,), the true classes.
        predicted: int64 (b,), from `predictions`.
        classes: number of classes, >= 2.
        dtype: of the counts.
        weights: (b,), how much each example counts; None: 1.

    Returns:
        (classes, classes).
    """
    as_class = tf.where(predicted < 0, (labels + 1) % classes, predicted)
    return tf.math.confusion_matrix(labels, as_class, classes, weights=weights, dtype=dtype)


def per_class(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns each class's precision, recall and F1; 0 where a class has no example, or is never predicted.

    Args:
        counts: (classes, classes), from `confusion`.

    Returns:
        float64 (classes,) each, in [0, 1].
    """
    hits = np.diag(counts)
    taken, own = counts.sum(axis=0), counts.sum(axis=1)
    return hits / np.maximum(taken, 1), hits / np.maximum(own, 1), 2 * hits / np.maximum(taken + own, 1)


def macro_averages(counts: np.ndarray) -> dict[str, float]:
    """Returns `precision`, `recall` and `f1`, each a mean over all classes; `counts` as for `per_class`."""
    return {
        name: float(scores.mean())
        for name, scores in zip(("precision", "recall", "f1"), per_class(counts), strict=True)
    }


def _has_nan(logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(tf.math.is_nan(logits), axis=-1)
