"""A task of a user's own package: the one that the room's README shows, in one file and one YAML."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import kerasdl
from kerasdl import compose, run
from kerasdl.config.composition import conf_dir
from kerasdl.errors import ConfigError

README = Path(kerasdl.__file__).parent / "tasks" / "README.md"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Returns what composes with the package and the folder of YAML files that the README describes."""
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "my_package.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "my_package", None)  # put back afterwards
    del sys.modules["my_package"]
    monkeypatch.setenv("KERASDL_TARGETS", "my_package")
    shutil.copytree(conf_dir(), tmp_path / "conf")
    (tmp_path / "conf" / "task" / "mine.yaml").write_text("_target_: my_package.Ordinal\nweight: 0.5\n")
    words = [
        "task=mine",
        "data=digits",
        "model=image_classifier",
        "trainer.epochs=2",
        f"paths.output_dir={tmp_path}/runs",
    ]
    words += [f"paths.output_dir={tmp_path}/runs", "tracking.system_metrics=false"]
    return lambda *more: compose([*words, *more], conf=tmp_path / "conf")


def test_it_trains_resumes_to_the_bit_and_is_handed_over(own, tmp_path):
    best = "trainer.checkpoint.best=val_mean_distance"  # which way is better is the task's to say
    whole = run(own(best))
    assert whole.metrics["test_mean_distance"] < 3.3  # that of equal probabilities
    assert whole.history["mean_distance"][1] < whole.history["mean_distance"][0]
    stopped = run(
        own("trainer.checkpoint.best=val_mean_distance"), should_prune=lambda epoch, step, metrics: epoch == 1
    )
    resumed = run(own(f"resume={stopped.resume_id}"))
    assert (resumed.weights, resumed.metrics["test_loss"]) == (whole.weights, whole.metrics["test_loss"])
    network = kerasdl.load(whole.run_id, output_dir=tmp_path / "runs")
    assert network.signature.task == "ordinal"
    probabilities = network.model(np.zeros((1, 8, 8, 1), np.uint8)).numpy()
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_package_that_is_not_allowed_is_refused(own, monkeypatch):
    monkeypatch.delenv("KERASDL_TARGETS")
    with pytest.raises(ConfigError, match="KERASDL_TARGETS=my_package"):
        run(own("tracking=none"))
