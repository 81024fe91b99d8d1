"""The terms that a sweep's modules share: how a trial's values are written."""

import pytest

from kerasdl.sweeps.trials import label, text


def test_a_label_is_short_where_it_can_be():
    assert label({"optimizer.learning_rate": 0.01, "seed": 2}) == "learning_rate=0.01 seed=2"
    assert label({"model.dropout": 0.5, "head.dropout": 0.1}) == "model.dropout=0.5 head.dropout=0.1"
    assert label({}) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "null"), (True, "true"), (False, "false"), (1e-05, "1e-05"), (0.123456789, "0.123457"), (64, "64"),
     ("adam", "adam")],
)  # fmt: skip
def test_a_value_is_written_as_it_would_be_typed(value, expected):
    assert text(value) == expected
