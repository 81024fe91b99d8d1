"""What goes wrong in one trial, or changes beside a running sweep, doesn't affect the rest."""

import sys
from pathlib import Path

import pytest
from sweeping import attempts, client, mlflow_runs

from kerasdl.runs import folders

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

TRIAL = ("data=digits", "model=image_classifier", "trainer.epochs=2", "tracking.log_model=false",
         "tracking.system_metrics=false")  # fmt: skip
TROUBLE = {"KERASDL_TARGETS": "trouble", "PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parent}"}


def test_one_trials_trouble_is_not_the_others(make_sweep, tmp_path):
    kinds = ("hang", "none", "kill", "raise", "kill_at_end")
    sweep = make_sweep(
        "sweep", *TRIAL, "data.batch_size=0,32", "+callbacks.own._target_=trouble.Trouble",
        f"+callbacks.own.kind={','.join(kinds)}", "sweep.name=trouble", "sweep.jobs=2", "sweep.trial_timeout=25",
        environment=TROUBLE, changes={"stop_seconds": 1},
    )  # fmt: skip
    typed = sweep.type()
    assert typed.wait() == 1, typed.output
    found = {
        (trial.user_attrs["overrides"]["data.batch_size"], trial.user_attrs["overrides"]["callbacks.own.kind"]): trial
        for trial in attempts(sweep.results, "trouble")
    }
    for kind in kinds:
        assert found[0, kind].state.name == "FAIL"
        assert found[0, kind].user_attrs["error"].startswith("data.batch_size must be >= 1. Received: 0.")
    errors = {kind: found[32, kind].user_attrs.get("error") for kind in kinds}
    assert errors == {
        "hang": "it took longer than sweep.trial_timeout=25 s",
        "none": None,
        "kill": "its process was killed (SIGKILL), perhaps because memory ran out",
        "raise": "ArithmeticError: this callback always fails",
        "kill_at_end": None,
    }
    assert {kind: found[32, kind].state.name for kind in kinds} == {
        kind: "FAIL" if errors[kind] else "COMPLETE" for kind in kinds
    }
    assert "8 of 10 trials failed, and 3 more. Logs: mlruns/sweeps/trouble@" in typed.output

    traces = {
        "hang": "it took longer than sweep.trial_timeout=25 s",
        "kill": "its process was killed (SIGKILL), perhaps because memory ran out",
        "raise": 'raise ArithmeticError("this callback always fails")',
    }
    runs = {run.data.params["callbacks.own.kind"]: run for run in mlflow_runs(sweep.results)[1]}
    assert {kind: run.info.status for kind, run in runs.items()} == {
        kind: "FAILED" if kind in traces else "FINISHED" for kind in kinds
    }
    for kind, trace in traces.items():
        path = client(sweep.results).download_artifacts(runs[kind].info.run_id, "error/traceback.txt", str(tmp_path))
        assert trace in Path(path).read_text()


def test_a_hopeless_sweep_stops_early(make_sweep):
    sweep = make_sweep("sweep", *TRIAL, "tracking=none", "data.batch_size=0,-1,-2,-3", "sweep.max_failures=2",
                       "sweep.name=hopeless")  # fmt: skip
    typed = sweep.type()
    assert typed.wait() == 1, typed.output
    assert [trial.state.name for trial in attempts(sweep.results, "hopeless")] == ["FAIL"] * 2 + ["WAITING"] * 2
    assert "hopeless: 4 trials, 2 waiting, 2 failed" in typed.output
    assert "2 of 4 trials failed. Logs:" in typed.output
    assert "Traceback" not in typed.output


def test_neither_edited_files_nor_a_second_sweeper_change_a_running_sweep(make_sweep, tmp_path):
    """A sampler's configurations are composed while the sweep runs."""
    conf = tmp_path / "conf" / "data" / "own.yaml"
    conf.parent.mkdir(parents=True)
    conf.write_text("defaults: [digits, _self_]\nbatch_size: 32\n")
    sweep = make_sweep(
        "sweep", f"--config-dir={tmp_path / 'conf'}", *TRIAL[1:], "data=own", "tracking=none", "sweep=random",
        "sweep.trials=2", "model.dense_units=range(8,65)", "sweep.name=edited",
    )  # fmt: skip
    typed = sweep.type()
    assert typed.wait_until(lambda: typed.lines("trial 0 "), "the first trial"), typed.output
    conf.write_text("defaults: [digits, _self_]\nbatch_size: 0\n")
    second = sweep.type("data=digits")
    assert second.wait() == 1
    (line,) = second.output.splitlines()
    assert line.startswith(f"Error: sweep edited is already being run by process {typed.pid} on host ")
    assert line.endswith("Wait for it or end it, or give this sweep another sweep.name.")
    assert typed.wait() == 0, typed.output
    assert [folder.record.config["data"]["batch_size"] for folder in folders(sweep.results)] == [32, 32]
