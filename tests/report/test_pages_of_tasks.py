"""The page of a run, and the table over seeds, of tasks that know no accuracy and no confusion matrix."""

import re

import pytest

from kerasdl.report.__main__ import main


@pytest.fixture(scope="module")
def page(regression_run, autoencoder_run, tmp_path_factory):
    """Writes the page of a task's run, without keeping it, and returns it."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {"regression": regression_run, "autoencoder": autoencoder_run}

    def write(task):
        run, path = runs[task], folder / f"{task}.html"
        main([f"run={run.id}", f"paths.output_dir={run.output_dir}", f"output={path}", "log=false", "overwrite=true"])
        return path.read_text()

    return write


def headings(html):
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", html)


def test_a_regression_s_page_has_its_metrics_and_residuals(page):
    html = page("regression")
    assert "Residuals" in headings(html)
    assert "Confusion matrix" not in headings(html)
    for name in ("test loss", "test mse", "test mae", "test r2", "best val loss", "best val r2"):
        assert f"<dt>{name}" in html
    assert "test_accuracy" not in html
    assert "test accuracy" not in html
    assert "kerasdl.predict" in html
    assert "kerasdl.explain" not in html
    assert "kerasdl.robustness" not in html


def test_an_autoencoder_s_page_has_its_reconstructions_of_the_end_and_of_each_epoch(page):
    html = page("autoencoder")
    assert {"Reconstructions", "During training"} <= set(headings(html))
    for epoch in ("0001", "0002"):
        assert f"pictures/epoch-{epoch}/reconstructions.png</figcaption>" in html
    assert "input=image.png" in html
    assert "kerasdl.explain" not in html


def test_best_needs_no_accuracy(regression_run, autoencoder_run):
    from kerasdl.config.composition import place
    from kerasdl.tracking import lookup

    for run in (regression_run, autoencoder_run):
        assert lookup.find(place({"paths.output_dir": str(run.output_dir)}), "best").run.id == run.id


def test_the_table_takes_the_validation_loss(regression_run, capsys):
    main([f"runs={regression_run.id}", f"paths.output_dir={regression_run.output_dir}"])
    assert "val_loss" in capsys.readouterr().out
