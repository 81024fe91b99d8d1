import io
import sys

import numpy as np
import pytest

from kerasdl.figures.learning_curves import learning_curves


def lines(axes):
    return {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}


def test_training_and_validation_share_a_panel():
    history = {"val_accuracy": [0.6, 0.7], "accuracy": [0.5, 0.8], "loss": [1.0, 0.5], "val_loss": [1.1, 0.9]}
    loss, accuracy = learning_curves(history).axes
    assert (loss.get_title("left"), accuracy.get_title("left")) == ("loss", "accuracy")
    assert lines(loss) == {"training": [1.0, 0.5], "validation": [1.1, 0.9]}
    assert lines(accuracy) == {"training": [0.5, 0.8], "validation": [0.6, 0.7]}
    assert list(loss.get_lines()[0].get_xdata()) == [1, 2]


def test_a_learning_rate_that_spans_a_decade_is_logarithmic():
    history = {"learning_rate": [0.1, 0.001], "loss": [1.0, 0.5]}
    loss, rate = learning_curves(history).axes
    assert (loss.get_yscale(), rate.get_yscale()) == ("linear", "log")
    assert learning_curves({"learning_rate": [0.2, 0.1]}).axes[0].get_yscale() == "linear"


def test_a_constant_learning_rate_is_left_out_or_seen_from_zero():
    (loss,) = learning_curves({"loss": [1.0, 0.5], "learning_rate": [0.01, 0.01]}).axes
    assert loss.get_title("left") == "loss"
    (rate,) = learning_curves({"learning_rate": [0.01, 0.01]}).axes
    assert rate.get_ylim() == (0, 0.015)


def test_many_panels_continue_in_a_further_row():
    history = {"loss": [1.0], **{f"metric_{number}": [0.5] for number in range(4)}}
    figure = learning_curves(history)
    assert len(figure.axes) == 5
    six = learning_curves({**history, "metric_4": [0.5]})
    assert figure.get_size_inches().tolist() == six.get_size_inches().tolist()
    assert len({axes.get_subplotspec().rowspan.start for axes in figure.axes}) == 2


def test_values_that_are_not_finite_are_counted():
    nan = float("nan")
    history = {"loss": [nan, nan], "accuracy": [0.5, nan], "val_accuracy": [float("inf"), 0.5], "val_f1": [0.5, nan]}
    loss, accuracy, f1 = learning_curves(history).axes
    assert [text.get_text() for text in loss.texts] == ["no finite values"]
    assert list(loss.get_yticks()) == []
    assert accuracy.get_title("right") == "2 values are not finite"
    assert f1.get_title("right") == "1 value is not finite"
    assert [text.get_text() for text in f1.get_legend().get_texts()] == ["validation"]


def test_one_epoch_and_missing_values_can_be_drawn():
    figure = learning_curves({"loss": [0.3], "accuracy": [float("nan")], "val_loss": [], "learning_rate": [0.0]})
    assert figure.axes[0].get_lines()[0].get_marker() == "o"  # a line of one point would not be seen
    figure.savefig(io.BytesIO())


def test_no_epoch_is_refused():
    with pytest.raises(ValueError, match="at least one epoch"):
        learning_curves({"loss": []})


def test_pyplot_is_not_involved():
    learning_curves({"loss": np.array([1.0])})
    assert "matplotlib.pyplot" not in sys.modules or sys.modules["matplotlib.pyplot"].get_fignums() == []
