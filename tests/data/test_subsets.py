import numpy as np
import pytest

from kerasdl.data import memory_budget, subsets
from kerasdl.errors import ConfigError


@pytest.mark.parametrize(("validation", "held"), [(0.1, 10), (25, 25), (0, 0), (0.0, 0), (0.001, 1)])
def test_held_out_examples_are_disjoint_from_the_rest_and_complete_it(validation, held):
    train, held_out = subsets.hold_out(100, validation, seed=0)
    assert len(held_out) == held
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(100))


def test_what_is_held_out_depends_on_the_seed_alone():
    np.testing.assert_array_equal(subsets.hold_out(100, 20, 1)[1], subsets.hold_out(100, 20, 1)[1])
    assert not np.array_equal(subsets.hold_out(100, 20, 1)[1], subsets.hold_out(100, 20, 2)[1])


@pytest.mark.parametrize("validation", [1.0, -0.1, 100, 101, -1])
def test_a_validation_part_that_leaves_nothing_is_refused(validation):
    with pytest.raises(ConfigError, match=r"data\.validation must be .* Received: "):
        subsets.hold_out(100, validation, seed=0)


def test_a_fraction_keeps_its_share_and_at_least_one():
    indices = np.arange(200, 300)
    kept = subsets.keep_fraction(indices, 0.05, 0, "train")
    assert len(kept) == 5
    assert set(kept) <= set(indices)
    assert len(subsets.keep_fraction(indices, 0.0001, 0, "train")) == 1
    assert not np.array_equal(kept, subsets.keep_fraction(indices, 0.05, 1, "train"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2GB", 2 * 10**9),
        ("500 MB", 5 * 10**8),
        ("1.5GiB", 3 * 2**29),
        ("123", 123),
        (7, 7),
        ("0", 0),
        ("2gb", 2 * 10**9),
    ],
)
def test_memory_budgets_are_read(text, number):
    assert memory_budget.parse(text) == number


@pytest.mark.parametrize("text", ["lots", "-1GB", "2 XB", "", "GB"])
def test_other_memory_budgets_are_refused(text):
    with pytest.raises(ConfigError, match=r"data\.memory_budget must be .* Received: "):
        memory_budget.parse(text)
