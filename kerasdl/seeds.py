"""Named sub-seeds: every random number of a run comes from `derive(seed, name, ...)`.

Each purpose (initialisation, order of examples, augmentation, dropout, validation split) has its own stream, so that
changing one, e.g. the augmentation, doesn't change the others.
"""

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """Returns the sub-seed of `seed` for a purpose: an int in [0, 2**31).

    Args:
        seed: the run's `seed`, an int >= 0.
        names: what the numbers are for, e.g. `"order"`, or `"order", epoch`.

    Example:
        >>> derive(0, "order", 3) == derive(0, "order", 3) != derive(0, "order", 4)
        True
    """
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little") % 2**31
