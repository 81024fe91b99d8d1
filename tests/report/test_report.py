"""The command that adds runs up. The numbers are tested in tests/analysis, how runs are read in tests/tracking."""

import csv
import subprocess
import sys
import time

import matplotlib.image
import numpy as np
import pytest

from kerasdl import compose
from kerasdl.report import __main__ as report
from kerasdl.tracking.limits import flatten

ACCURACIES = {0.1: [0.981, 0.985, 0.983], 0.01: [0.961, 0.969, 0.962]}


@pytest.fixture(scope="module", autouse=True)
def no_tracking_uri():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory, put_database):
    """An output directory with sweeps, whose runs have the params of real configurations; its name has a space."""
    from omegaconf import OmegaConf

    from kerasdl.tracking.store import import_mlflow

    directory = tmp_path_factory.mktemp("reported store")
    put_database(directory / "mlflow.db")
    client = import_mlflow().MlflowClient(f"sqlite:///{directory}/mlflow.db")
    experiment = client.create_experiment("kerasdl", artifact_location=str(directory / "artifacts"))
    client.create_experiment("empty", artifact_location=str(directory / "artifacts"))

    def make(metrics, params=(), status="FINISHED", **tags):
        from mlflow.entities import Metric, Param, RunTag

        run = client.create_run(experiment).info.run_id
        client.log_batch(
            run,
            metrics=[Metric(key, value, 0, 0) for key, value in metrics.items()],
            params=[Param(*item) for item in dict(params).items()],
            tags=[RunTag(key.replace("__", "."), value) for key, value in tags.items()],
        )
        if status != "RUNNING":
            client.set_terminated(run, status)
        return run

    tree = OmegaConf.to_container(compose(["data=digits"]), resolve=True)

    def params(rate, seed):
        own = {"optimizer.learning_rate": str(rate), "seed": str(seed), "paths.output_dir": f"/tmp/{seed}"}
        return {**flatten({**tree, "parameters": 100}), **own}

    goal = {"kerasdl__kind": "sweep", "kerasdl__metric": "val_accuracy,val_loss"}
    parent = make({}, kerasdl__sweep="lr", kerasdl__direction="maximize,minimize", **goal)
    trial = {"kerasdl__sweep": "lr", "mlflow__parentRunId": parent}
    ids = [
        make({"val_accuracy": value, "val_loss": 1 - value, "seconds": 70.0}, params(rate, seed), **trial)
        for rate, values in ACCURACIES.items()
        for seed, value in enumerate(values)
    ]
    make({"val_accuracy": 0.5}, params(0.1, 3), **trial, kerasdl__state="PRUNED")
    make({"val_accuracy": 0.6}, params(0.1, 4), "FAILED", **trial)
    make({"val_accuracy": 0.7}, params(0.1, 5), "RUNNING", **trial)
    waiting = make({}, kerasdl__sweep="begun", kerasdl__direction="maximize,minimize", **goal)
    make({"val_accuracy": 0.7}, params(0.1, 0), "RUNNING", kerasdl__sweep="begun", mlflow__parentRunId=waiting)
    other = make({}, **{"kerasdl.sweep": "rate", "kerasdl.kind": "sweep", "kerasdl.metric": "error_rate"},
                 kerasdl__direction="minimize")  # fmt: skip
    for units, value in ((10, 0.3), (20, 0.1)):
        make({"error_rate": value}, {"model.units": str(units), "seed": "0"}, mlflow__parentRunId=other)
    return directory, ids


@pytest.fixture
def reported(store, capsys):
    """Runs the report in this process and returns what it prints."""

    def run(*arguments):
        report.main([*arguments, f"paths.output_dir={store[0]}"])
        return capsys.readouterr().out

    return run


@pytest.fixture
def fails(store, capsys):
    """Runs the report, which must fail, and returns its one line."""

    def run(*arguments, code=1):
        with pytest.raises(SystemExit) as caught:
            report.main([*arguments, f"paths.output_dir={store[0]}"])
        printed = capsys.readouterr()
        assert caught.value.code == code
        assert printed.out == ""
        assert printed.err.startswith("Error: ")
        assert printed.err.count("\n") == 1
        return printed.err.removeprefix("Error: ")

    return run


def test_a_sweep_is_a_row_for_each_configuration(reported):
    printed = reported("sweep=lr")
    assert [" ".join(line.split()) for line in printed.splitlines() if line] == [
        "sweep lr: val_accuracy in %, higher is better",
        "# learning_rate n mean ± sd 95 % interval best training",
        "─" * 74,
        "1 0.1 3 98.30 ± 0.20 [97.80, 98.80] 98.50 1 min 10 s",
        "2 0.01 3 96.40 ± 0.44 [95.32, 97.48] 96.90 1 min 10 s",
        "1 running, 1 failed and 1 pruned runs are not counted.",
    ]


def test_another_metric_of_the_sweep_has_its_own_direction(reported):
    printed = reported("sweep=lr", "metric=val_loss")
    assert printed.startswith("sweep lr: val_loss, lower is better\n")
    assert printed.index("0.01700 ±") < printed.index("0.03600 ±")
    printed = reported("sweep=rate")
    assert printed.startswith("sweep rate: error_rate, lower is better\n")
    assert printed.index("0.1000 ±") < printed.index("0.3000 ±")


def test_two_rows_are_compared(reported):
    from scipy import stats

    p_value = stats.ttest_rel(*ACCURACIES.values()).pvalue
    assert f"mean difference +1.90 ± 0.26 points, 95 % interval [+1.24, +2.56], p = {p_value:.2g}" in reported(
        "sweep=lr", "compare=1,2"
    )


def test_an_experiment_and_single_runs_are_reported(reported, store):
    printed = reported("experiment=kerasdl", "metric=val_accuracy")
    assert printed.startswith("experiment kerasdl: val_accuracy in %, higher is better")
    assert "2 running, 1 failed and 1 pruned runs are not counted." in printed  # one of them of another sweep
    printed = reported(f"runs={store[1][0]},{store[1][1][:16]}, {store[1][3]}", "metric=seconds")
    assert printed.startswith("runs: seconds, lower is better")
    assert [line.split()[:3] for line in printed.splitlines()[4:6]] == [["1", "0.01", "1"], ["2", "0.1", "2"]]


def test_every_form_is_written(reported, tmp_path):
    files = [tmp_path / f"out{suffix}" for suffix in report.SUFFIXES]
    printed = reported("sweep=lr", "compare=2,1", f"output={files[0]},{files[1]}", f"output={files[2]}",
                       f"output={files[3]}")  # fmt: skip
    assert printed.splitlines() == [f"wrote {file}" for file in files]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    rows = list(csv.DictReader(files[0].open(newline="")))
    for row, (rate, values) in zip(rows, ACCURACIES.items(), strict=True):
        assert float(row["optimizer.learning_rate"]) == rate
        assert float(row["mean"]) == pytest.approx(np.mean(values), rel=1e-15)
        assert float(row["std"]) == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        assert float(row["training_seconds"]) == 70.0
    assert "| 1 | 0.1 | 3 | 98.30 ± 0.20 |" in files[1].read_text(encoding="utf-8")
    assert matplotlib.image.imread(files[2]).shape[1] == 1200
    assert "Row 2 against row 1" in files[3].read_text(encoding="utf-8")
    assert "Row 2 against row 1" in files[1].read_text(encoding="utf-8")


def test_a_comparison_that_no_file_can_hold_is_printed(reported, tmp_path):
    printed = reported("sweep=lr", "compare=1,2", f"output={tmp_path / 'out.csv'}")
    assert "Row 1 against row 2" in printed


def test_a_file_that_can_not_be_written_stays_as_it_was(reported, store, tmp_path, monkeypatch, capsys):
    from kerasdl.report import seed_tables

    def full(table):
        raise OSError(28, "No space left on device")

    path = tmp_path / "out.csv"
    path.write_text("before")
    monkeypatch.setattr(seed_tables, "csv_text", full)
    with pytest.raises(SystemExit) as caught:
        reported("sweep=lr", f"output={path}")
    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        f"Error: output: '{path}' can't be written (No space left on device). Name another file.\n"
    )
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of run=ID, sweep=NAME, experiment=NAME and runs=ID,ID must be given. Received: none of them."),
        (["sweep=lr", "runs=a"], "one of run=ID, sweep=NAME"),
        (["run=a", "sweep=lr"], "run=... makes the page of one run. Received also: sweep=lr."),
        (["run=a", "compare=1,2"], "run=... makes the page of one run."),
        (["run=a", "output=page.md"], "output must end with .html where run= is given. Received: 'page.md'."),
        (["run=a", "checkpoint=last"], "checkpoint: there is no such key."),
        (["run=a", "log=no"], "log must be true or false."),
        (["sweeps=lr"], "arguments must be sweep=VALUE or"),
        (["sweep=lr", "compare=1"], "compare must be the numbers of two rows"),
        (["sweep=lr", "compare=1,1"], "compare must be the numbers of two rows"),
        (["sweep=lr", "compare=0,1"], "compare must be the numbers of two rows"),
        (["sweep=lr", "compare=1,2,x"], "compare must be the numbers of two rows"),
        (["sweep=lr", "output=table.pdf"], "output must end with .csv, .md, .png or .txt. Received: 'table.pdf'."),
        (["sweep=lr", "output=a.csv,b"], "output must end with .csv, .md, .png or .txt. Received: 'b'."),
        (["sweep=lr", "output=none/table.csv"], "output must be in a directory that exists."),
    ],
)
def test_a_mistyped_argument(arguments, said, fails):
    assert fails(*arguments, code=2).startswith(said)


def test_a_directory_is_no_output(fails, tmp_path):
    (tmp_path / "table.csv").mkdir()
    assert fails("sweep=lr", f"output={tmp_path / 'table.csv'}", code=2).startswith("output must be a file")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep=rl"], "there is no sweep 'rl'"),
        (["experiment=kersadl"], "Did you mean 'kerasdl'?"),
        (["runs=zzzz"], "there is no run 'zzzz'"),
        (["run=zzzz"], "there is no run 'zzzz'"),
        (["run=zzzz", "output=none/page.html"], "output must be in a directory that exists."),
        (["sweep=begun"], "no run is finished yet: 1 found (RUNNING)."),
        (["experiment=empty"], "no run is finished yet: none found."),
        (["sweep=lr", "metric=val_acuracy"], "Received: 'val_acuracy'. Did you mean 'val_accuracy'?"),
        (["sweep=lr", "compare=1,3"], "compare must name rows of the table, which has rows 1 to 2. Received: 3."),
    ],
)
def test_what_the_store_does_not_have(arguments, said, fails):
    assert said in fails(*arguments)


def test_rows_that_share_no_seed(fails, store):
    ids = store[1]
    said = fails(f"runs={ids[0]},{ids[4]}", "compare=1,2")
    assert said == "compare: rows 1 and 2 share no seed: 0 against 1. Run both with the same seeds.\n"


@pytest.mark.parametrize(
    ("metrics", "chosen"),
    [
        ([{"loss", "val_accuracy", "test_accuracy"}] * 2, "val_accuracy"),
        ([{"loss", "val_accuracy", "test_accuracy"}, {"loss", "test_accuracy"}], "test_accuracy"),
        ([{"loss", "val_accuracy"}, {"loss", "test_accuracy"}], "loss"),
    ],
)
def test_without_a_sweep_the_metric_is_one_that_most_runs_have(metrics, chosen):
    from kerasdl.tracking.reading import Run

    runs = [Run(str(i), "FINISHED", 0, {}, dict.fromkeys(names, 0.5), {}) for i, names in enumerate(metrics)]
    assert report._metric(None, [], runs) == chosen
    assert report._metric(None, ["test_accuracy", "loss"], [*runs, runs[1]]) == "test_accuracy"


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom kerasdl.report import __main__ as report\n"
        "try:\n    report.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print({'mlflow', 'tensorflow', 'scipy', 'matplotlib', 'hydra'} & set(sys.modules))"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 1.0
    assert "output=FILE" in done.stdout
    assert done.stdout.endswith("set()\n")


def test_a_report_imports_no_tensorflow(store, tmp_path):
    directory, ids = store
    page = tmp_path / "run.html"
    code = (
        "import sys; from kerasdl import register; import kerasdl.tracking.registry\n"
        "from kerasdl.report import __main__ as report\n"
        "report.main([sys.argv[1], sys.argv[-1]])\n"
        "report.main(sys.argv[2:])\n"
        "assert 'tensorflow' not in sys.modules"
    )
    of_run = [f"run={ids[0]}", f"output={page}", "log=false", f"paths.output_dir={directory}"]
    done = subprocess.run([sys.executable, "-c", code, "sweep=lr", *of_run], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The store has runs of no program's, without files.
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Warning: run {ids[0]} has no config.yaml among its artifacts")
    assert done.stdout.startswith("sweep lr")
    assert done.stdout.endswith(f"wrote {page}\n")
    assert ids[0] in page.read_text(encoding="utf-8")
    assert not list(directory.rglob("report.html"))
