import re

from kerasdl.report.run_page.charts import MAX_POINTS, epoch_charts, step_charts


def points_of(svg):
    """Returns the number of points of each line that is drawn in data's colours."""
    return [len(re.findall("[ML] ", path)) for path in re.findall(r'<path d="([^"]*)" clip-path', svg)]


def test_training_and_validation_share_a_chart_over_epochs():
    histories = {
        "epoch": [(20, 1.0), (40, 2.0)],
        "val_loss": [(10, 0.9), (20, 0.8), (40, 0.7)],
        "accuracy": [(20, 0.5), (40, 0.6)],
        "loss": [(20, 1.0), (40, 0.5)],
        "test_loss": [(40, 1.0)],
        "seconds": [(20, 1.0)],
        "interval/loss": [(10, 1.0)],
        "evaluate/loss": [(0, 1.0)],
    }
    charts = epoch_charts(histories)
    assert [chart.title for chart in charts] == ["loss", "accuracy"]
    assert charts[0].alt == (
        "Line chart of the loss over epochs: training from 1 at epoch 1 to 0.5 at epoch 2; "
        "validation from 0.9 at epoch 0.5 to 0.7 at epoch 2."
    )
    assert charts[0].light != charts[0].dark


def test_without_epochs_the_curves_are_over_steps():
    (chart,) = epoch_charts({"val_loss": [(10, 0.9), (20, 0.8)]})
    assert chart.alt == "Line chart of the loss over steps: validation from 0.9 at step 10 to 0.8 at step 20."
    assert epoch_charts({"epoch": [(20, 1.0)]}) == []


def test_many_steps_make_no_larger_chart():
    many = [(step, 1 / (1 + step)) for step in range(2_000)]
    loss, rate = step_charts(many, many)
    assert max(points_of(loss.light)) <= 2 * MAX_POINTS + 3
    assert max(len(chart.light) for chart in (loss, rate)) < 60_000
    assert "to 0.0005 at step 1999" in rate.alt


def test_values_that_are_not_finite_are_gaps():
    values = [(0, 1.0), (1, float("inf")), (2, 1.797e308), (3, float("nan")), (4, 0.5)]
    loss, _ = step_charts(values, [(0, 0.0), (1, 0.0)])
    assert loss.alt.endswith("from 1 at step 0 to 0.5 at step 4.")
    assert step_charts([], []) == []


def test_a_chart_of_nothing_finite_says_so():
    nothing, something = epoch_charts({"val_accuracy": [(1, 0.5)], "loss": [(1, float("nan"))]})
    assert "<!-- no finite values -->" in nothing.light
    assert "<!-- no finite values -->" not in something.light
    assert "<!-- validation -->" in something.light
