"""`python -m kerasdl.robustness` on a trained run."""

import csv

import pytest

from kerasdl.commands import RUN_KEYS
from kerasdl.robustness import __main__ as robustness
from kerasdl.robustness.__main__ import main
from kerasdl.robustness.corruptions import CORRUPTIONS


@pytest.fixture
def stress(trained_run):
    """Runs the command on the digits' network, with few examples."""

    def run(*arguments):
        main([f"run={trained_run.id}", f"paths.output_dir={trained_run.output_dir}", "examples=120", *arguments])

    return run


@pytest.fixture
def kept(trained_run):
    """Returns what the run has in MLflow: a dict of metrics and the paths of robustness' files."""
    from kerasdl.tracking.store import import_mlflow

    def read():
        client = import_mlflow().MlflowClient(f"sqlite:///{trained_run.output_dir}/mlflow.db")
        files = [file.path for file in client.list_artifacts(trained_run.id, "robustness")]
        return client.get_run(trained_run.id).data.metrics, files

    return read


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_pictures_and_metrics(stress, kept, tmp_path, capsys):
    stress(
        "attacks=fgsm,pgd", "norms=linf,l2", "epsilons.linf=0.3", "epsilons.l2=0.2", "steps=3", "restarts=2",
        "corruptions=rotate,fog", "severities=5,1", f"output={tmp_path / 'out'}",
    )  # fmt: skip
    names = ["adversarial.csv", "adversarial.png", "corruptions.csv", "corruptions.png", "examples.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert all((tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith("png"))

    clean, *attacks = rows(tmp_path / "out" / "adversarial.csv")
    accuracy = {(row["attack"], row["norm"], float(row["epsilon"])): float(row["accuracy"]) for row in attacks}
    assert len(accuracy) == 4
    assert float(clean["accuracy"]) > 0.6
    assert accuracy["pgd", "linf", 0.3] <= accuracy["fgsm", "linf", 0.3] < accuracy["pgd", "l2", 0.2]
    assert accuracy["pgd", "linf", 0.3] < 0.2
    corruptions = rows(tmp_path / "out" / "corruptions.csv")[1:]
    assert [(row["corruption"], row["severity"]) for row in corruptions] == [
        ("rotate", "1"), ("rotate", "5"), ("fog", "1"), ("fog", "5"),
    ]  # fmt: skip

    metrics, files = kept()
    assert files == [f"robustness/{name}" for name in names]
    assert metrics["robustness/accuracy"] == float(clean["accuracy"])
    assert metrics["robustness/pgd_linf_0.3"] == accuracy["pgd", "linf", 0.3]
    mean = sum(float(row["accuracy"]) for row in corruptions) / 4
    assert metrics["robustness/corruption_mean"] == pytest.approx(mean)

    printed = capsys.readouterr().out
    assert "on the first 120 examples of digits's test split" in printed
    assert f"\nPGD L-inf 0.3 {100 * accuracy['pgd', 'linf', 0.3]:10.1f} %\n" in printed


def test_grey_images_get_all_corruptions_by_default_the_seed_decides_and_log_false_keeps_nothing(
    stress, kept, tmp_path
):
    before = kept()
    found = []
    for seed in (3, 4):
        stress("attacks=none", "severities=3", "log=false", f"seed={seed}", f"output={tmp_path / str(seed)}")
        found.append(rows(tmp_path / str(seed) / "corruptions.csv")[1:])
    assert [row["corruption"] for row in found[0]] == list(CORRUPTIONS)
    assert found[0] != found[1]
    assert kept() == before


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("corruptions=fogg", "Error: corruptions must be common, mnist, all, none, or names. Received: 'fogg'. "
         "Did you mean 'fog'?"),
        ("corruptions=fog,all", "Error: corruptions must be common, mnist, all, none, or names. Received: 'all'."),
        ("attacks=pgd,none", "Error: attacks must be none, or names. Received: 'pgd,none'. Take one or the other."),
        ("epsilons.linf=2", "Error: epsilons.linf must be a number in [0, 1]. Received: '2'."),
        ("epsilons=0.1", "Error: epsilons: there is no such key. Did you mean 'epsilons.l2'?"),
        ("severities=0", "Error: severities must be one or more of 1, 2, 3, 4, 5. Received: '0'."),
        ("examples=0", "Error: examples must be an integer >= 1. Received: '0'."),
    ],
)  # fmt: skip
def test_mistakes_are_reported_in_one_line(argument, message, stress, capsys):
    with pytest.raises(SystemExit) as stopped:
        stress(argument)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_nothing_to_do_is_a_mistake(stress, capsys):
    with pytest.raises(SystemExit, match="2"):
        stress("attacks=none", "corruptions=none")
    assert capsys.readouterr().err.startswith("Error: attacks and corruptions are both none.")


def test_an_output_that_exists_is_left_alone(stress, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit, match="1"):
        stress(f"output={tmp_path}")
    assert "add overwrite=true" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interruption_keeps_nothing(stress, kept, tmp_path, monkeypatch, capsys):
    from kerasdl.robustness.measuring import Examples

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Examples, "corrupted", interrupted)
    before = kept()
    with pytest.raises(SystemExit, match="130"):
        stress("attacks=none", f"output={tmp_path / 'out'}")
    assert capsys.readouterr().err.endswith("Interrupted.\n")
    assert not (tmp_path / "out").exists()
    assert kept() == before


def test_help_names_every_key(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"{key.name}=" in printed for key in robustness.KEYS)
    assert set(RUN_KEYS) <= set(robustness.KEYS)
