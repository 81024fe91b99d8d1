import numpy as np
import pytest

from kerasdl.data.order import WholeOrder, WindowedOrder, runs


def windowed(indices, seed=0, shuffle=True, window=7):
    return WindowedOrder(np.asarray(indices), seed, shuffle, window, np.array([0, 10, 25, 40]), 50)


EVEN = np.arange(0, 50, 2)


@pytest.mark.parametrize("order", [WholeOrder(EVEN, 0, True), windowed(EVEN)], ids=["whole", "windowed"])
def test_an_epoch_holds_every_example_once_and_epochs_differ(order):
    first, second = order.epoch(0), order.epoch(1)
    np.testing.assert_array_equal(np.sort(first), EVEN)
    np.testing.assert_array_equal(np.sort(second), EVEN)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("make", [lambda seed: WholeOrder(EVEN, seed, True), lambda seed: windowed(EVEN, seed)])
def test_the_order_is_a_function_of_seed_and_epoch(make):
    order = make(3)
    for epoch in (4, 0, 4):
        np.testing.assert_array_equal(order.epoch(epoch), make(3).epoch(epoch))
    assert not np.array_equal(make(3).epoch(4), make(5).epoch(4))


@pytest.mark.parametrize("order", [WholeOrder(EVEN, 0, False), windowed(EVEN, shuffle=False)])
def test_without_shuffling_the_order_is_as_stored(order):
    np.testing.assert_array_equal(order.epoch(3), EVEN)


def test_windows_are_isolated_so_that_reading_can_begin_at_any():
    order = windowed(np.arange(50))
    reading, kept = order.reading(2, first=3)
    whole, _ = order.reading(2)
    np.testing.assert_array_equal(reading[kept], whole[3 * 7 :])
    np.testing.assert_array_equal(np.sort(order.epoch(2)[21:28]), np.sort(whole[21:28]))


def test_blocks_without_kept_examples_are_not_read():
    reading, kept = windowed([12, 14]).reading(0)
    np.testing.assert_array_equal(reading, [12, 13, 14])
    np.testing.assert_array_equal(kept, [True, False, True])


def test_runs_are_maximal_and_in_order():
    assert runs(np.array([4, 5, 6, 0, 1, 9])) == [(4, 7), (0, 2), (9, 10)]
