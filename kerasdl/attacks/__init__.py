"""Adversarial examples: the smallest changes of an image that make a network wrong, within a budget.

An `Attack` is a frozen description (norm, budget, steps, restarts) that is called with a function from images to
logits. It is made of TensorFlow operations and stateless random numbers only, so that it runs inside the compiled
training step (`trainer.adversarial`) as well as in an evaluation. Curves over budgets, tables and pictures are left to
`kerasdl.robustness`.

    attack = Attack("linf", epsilon=0.2, steps=20, restarts=2)        # PGD; Attack.fgsm("linf", 0.2) is one step
    model = on_pixels(serving)                                        # kerasdl.models.pixels: float32 0..255 -> logits
    run = tf.function(lambda images, labels, seed: attack(model, images, labels, seed))
    adversarial = run(tf.cast(images, tf.float32), labels, tf.constant([derive(seed, "robustness"), batch]))
"""

from kerasdl.attacks.attack import Attack, log_odds_against
from kerasdl.attacks.balls import NORMS

__all__ = ["NORMS", "Attack", "log_odds_against"]
