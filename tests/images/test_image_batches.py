"""Many pictures: in order, ahead by no more than a window, at a steady cost of memory."""

import threading
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from kerasdl.images import batched, read

SHAPE = (4, 3, 1)


def pictures(count, taken):
    for number in range(count):
        taken.append(number)
        yield np.full(SHAPE[:2], number % 256, np.uint8)


@pytest.mark.parametrize("workers", [1, 5])
def test_the_order_is_kept_and_nothing_is_lost(workers):
    values = [int(item.pixels[0, 0, 0]) for item in read(pictures(700, []), SHAPE, workers=workers, ahead=16)]
    assert values == [number % 256 for number in range(700)]


def test_reading_runs_no_further_ahead_than_the_window():
    taken = []
    items = read(pictures(1000, taken), SHAPE, ahead=10)
    assert taken == [], "nothing is read before it is asked for"
    for used in range(300):
        next(items)
        assert len(taken) <= used + 10
    items.close()
    assert len(taken) <= 310


def test_a_failing_source_or_an_abandoned_reading_leaves_no_threads():
    def breaks():
        yield np.zeros(SHAPE[:2], np.uint8)
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(read(breaks(), SHAPE, workers=4))
    items = read(pictures(100, []), SHAPE, workers=4)
    next(items)
    items.close()
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    """A picture of 300 kB: twenty times as many of them cost no more."""
    Image.fromarray(np.zeros((400, 250, 3), np.uint8)).save(tmp_path / "one.bmp")

    def peak(count):
        tracemalloc.start()
        for _ in read((tmp_path / "one.bmp" for _ in range(count)), (32, 32, 3), workers=2, ahead=8):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # what is imported and cached at the first time
    assert peak(400) < peak(20) + 300_000


def test_batches_of_a_size_and_a_last_one():
    assert list(batched(iter("abcdefg"), 3)) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert list(batched("abcd", 2)) == [["a", "b"], ["c", "d"]]
    assert list(batched("", 2)) == []
