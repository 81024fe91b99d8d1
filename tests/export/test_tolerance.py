"""What may differ by how much."""

import math

import pytest

from kerasdl.export.formats import FORMATS
from kerasdl.export.tolerance import TOLERANCES, Tolerance

LIMITS = Tolerance(difference=0.1, value_difference=0.1, disagreement=0.02, accuracy_loss=0.003, reason="a test")


def test_every_format_has_limits_and_a_reason():
    assert list(TOLERANCES) == [format.name for format in FORMATS]
    assert all(limits.reason for limits in TOLERANCES.values())


def test_eight_bits_may_cost_three_tenths_of_a_point_and_no_more():
    limits = TOLERANCES["litert_int8"]
    assert limits.complaint(0.0, 3, lost=3, examples=1000) == ""
    assert limits.complaint(0.0, 4, lost=4, examples=1000) == "accuracy is 0.40 points below Keras, tolerated 0.30"


def test_what_is_within_the_limits_is_no_complaint():
    assert LIMITS.complaint(0.1, disagreeing=20, lost=3, examples=1000) == ""
    assert LIMITS.complaint(0.0, disagreeing=0, lost=-50, examples=1000) == ""


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        ((0.11, 0, 0, 1000), "a probability differs from Keras by 0.11, tolerated 0.1"),
        ((math.nan, 0, 0, 1000), "a probability differs from Keras by nan, tolerated 0.1"),
        ((0.0, 21, 0, 1000), "21 of 1,000 labels differ from Keras, tolerated 20"),
        ((0.0, 0, 4, 1000), "accuracy is 0.40 points below Keras, tolerated 0.30"),
    ],
)
def test_a_complaint_says_by_how_much(measured, told):
    assert LIMITS.complaint(*measured) == told


def test_one_image_is_allowed_also_where_it_is_a_large_share():
    assert LIMITS.complaint(0.0, disagreeing=1, lost=1, examples=10) == ""
    assert "2 of 10 labels" in LIMITS.complaint(0.0, disagreeing=2, lost=0, examples=10)
