"""FGSM and PGD: one attack with one or many steps, from the image or a random point of the ball, with restarts.

Gradients are taken of the log-odds against the true class rather than of the cross-entropy. Cross-entropy is
softplus(log-odds), so both rise in the same direction and rank all examples of a class alike. But its gradient
underflows where the network is confident, so that such a network would look robust without being so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from kerasdl.attacks.balls import NORMS
from kerasdl.measures import predictions

Logits = Callable[[tf.Tensor], tf.Tensor]


def log_odds_against(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns log((1 - p) / p) of the true class's probability p: what an attack raises.

    Args:
        labels: int64 (b,).
        logits: (b, classes), classes >= 2.

    Returns:
        float32 (b,); the cross-entropy is softplus of it.
    """
    logits = tf.cast(logits, tf.float32)
    true = tf.one_hot(labels, tf.shape(logits)[-1], on_value=True, off_value=False, dtype=tf.bool)
    others = tf.reduce_logsumexp(tf.where(true, logits.dtype.min, logits), axis=-1)
    return others - tf.reduce_sum(tf.where(true, logits, 0.0), axis=-1)


@dataclass(frozen=True)
class Attack:
    """Projected gradient ascent on the loss within a ball round each image (PGD, Madry et al. 2018).

    Each step moves `step_size` in the steepest direction of the norm (the gradient's sign for L-infinity, the gradient
    divided by its length for L2), back into the ball, and back into 0..255. Images stay real numbers: they aren't
    rounded to whole pixel values.

    Args:
        norm: `linf` or `l2`.
        epsilon: the ball's radius on the scale where black is 0 and white 1, >= 0; 0.2 is 51 of 255 pixel values.
            The L2 norm is over all pixels and channels of an image.
        steps: number of gradient steps, >= 1.
        step_size: on the scale of `epsilon`, > 0; None: 2.5 * epsilon / steps (Madry et al. 2018), which is
            large enough to reach the border from anywhere in the ball, and to move along it.
        restarts: number of runs of the attack, >= 1. For each example the result is the last image of a run that the
            network misclassifies; of several such, or if there is none, the one with the highest loss. More restarts
            begin with the same random starts, so they never leave more examples correct than fewer.
        random_start: begin anywhere in the ball (uniformly) instead of at the image.

    Raises:
        ValueError: an argument is out of its range.
    """

    norm: str
    epsilon: float
    steps: int = 20
    step_size: float | None = None
    restarts: int = 1
    random_start: bool = True

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise ValueError(f"norm must be {' or '.join(NORMS)}. Received: {self.norm!r}.")
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise ValueError(f"epsilon must be a number >= 0. Received: {self.epsilon}.")
        if self.step_size is not None and not (math.isfinite(self.step_size) and self.step_size > 0):
            raise ValueError(f"step_size must be a number > 0 or None. Received: {self.step_size}.")
        if self.steps < 1 or self.restarts < 1:
            raise ValueError(f"steps and restarts must be >= 1. Received: {self.steps} and {self.restarts}.")
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts={self.restarts} needs random_start: every run would begin at the same image.")

    @classmethod
    def fgsm(cls, norm: str, epsilon: float) -> "Attack":
        """Returns the fast gradient sign method (Goodfellow et al. 2015): one step of `epsilon` from the image.

        With `l2`, the step is along the gradient itself.
        """
        return cls(norm, epsilon, steps=1, step_size=epsilon or None, random_start=False)

    def __call__(
        self, logits: Logits, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, share: float | tf.Tensor = 1.0
    ) -> tf.Tensor:
        """Returns the changed images.

        Call it inside a `tf.function`; outside it is slow.

        Args:
            logits: from images (b, h, w, c) float32 in 0..255 to logits (b, classes); it must be a pure function, i.e.
                the network with `training=False`.
            images: float32 (b, h, w, c), 0..255.
            labels: int64 (b,), the true classes.
            seed: int32 [2], a different one for every batch; the same seed and batch give the same result.
            share: factor of `epsilon` and of `step_size`, float32 >= 0; may be symbolic.

        Returns:
            float32 (b, h, w, c), 0..255, at most `255 * share * epsilon` from `images`.
        """
        worst = self._run(logits, images, labels, seed, share)
        if self.restarts == 1:
            return worst

        def body(restart, worst, badness):
            another = tf.random.experimental.stateless_fold_in(seed, restart)
            found = self._run(logits, images, labels, another, share)
            return restart + 1, *_worse((worst, badness), (found, _badness(logits(found), labels)))

        state = (tf.constant(1), worst, _badness(logits(worst), labels))
        return tf.while_loop(lambda restart, *_: restart < self.restarts, body, state, parallel_iterations=1)[1]

    def _run(
        self, logits: Logits, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, share: float | tf.Tensor
    ) -> tf.Tensor:
        ball = NORMS[self.norm](255.0 * self.epsilon * share)
        step_size = 255.0 * (2.5 * self.epsilon / self.steps if self.step_size is None else self.step_size) * share

        def inside(change):
            # The image itself is in 0..255, so clipping to that range never makes a change longer.
            return tf.clip_by_value(images + ball.project(change), 0.0, 255.0)

        def body(step, adversarial):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(adversarial)
                odds = log_odds_against(labels, logits(adversarial))
            ascent = ball.ascent(tape.gradient(odds, adversarial))
            return step + 1, inside(adversarial - images + step_size * ascent)

        start = inside(ball.random(tf.shape(images), seed)) if self.random_start else images
        return tf.while_loop(lambda step, _: step < self.steps, body, (tf.constant(0), start), parallel_iterations=1)[1]


Badness = tuple[tf.Tensor, tf.Tensor]


def _badness(logits: tf.Tensor, labels: tf.Tensor) -> Badness:
    """Returns whether each example is misclassified, bool (b,), and its log-odds against the true class."""
    return tf.not_equal(predictions(logits), labels), log_odds_against(labels, logits)


def _worse(kept: tuple[tf.Tensor, Badness], found: tuple[tf.Tensor, Badness]) -> tuple[tf.Tensor, Badness]:
    """Returns for each example what is misclassified, and of two that are, or aren't, the one of the higher loss."""
    (kept_images, (was_wrong, was_odds)), (found_images, (wrong, odds)) = kept, found
    # A class can have the highest probability with less than a half, so the odds alone don't decide.
    better = (wrong & ~was_wrong) | (tf.equal(wrong, was_wrong) & (odds > was_odds))
    images = tf.where(better[:, None, None, None], found_images, kept_images)
    return images, (was_wrong | wrong, tf.where(better, odds, was_odds))
