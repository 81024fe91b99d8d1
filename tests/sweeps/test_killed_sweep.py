"""A sweep, or its trials, killed at any moment and run again: each trial once, with the bits of an undisturbed one."""

import itertools
import random
import re
import signal
import sys
import time

import pytest
from sweeping import attempts, ends, histories, mlflow_runs, outcome, pause, processes_in, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

NAME = "killed"
TRIAL = ("data=digits", "model=image_classifier", "data.batch_size=32", "tracking.log_model=false",
         "tracking.system_metrics=false", "tracking.interval=10", "trainer.epochs=8")  # fmt: skip
# How long a trial may take to save its state on a busy machine: nothing interrupts its compilation.
_LONGEST_ORPHAN_SECONDS = 20.0


@pytest.fixture
def report(record_property):
    """Takes a line that is shown at the end of the tests."""
    return lambda line: record_property("summary", line)


@pytest.mark.parametrize(
    ("rates", "seeds", "kills"),
    [
        pytest.param("0.1", "0,1,2", 2, id="3-trials-2-kills", marks=pytest.mark.slow),  # in pieces: test_runner
        pytest.param(
            "0.01,0.03,0.1", "0,1,2,3", 10, id="12-trials-10-kills",
            marks=[pytest.mark.slow, pytest.mark.timeout(1200)],
        ),
    ],
)  # fmt: skip
def test_a_killed_sweep_ends_like_one_left_in_peace(make_sweep, report, rates, seeds, kills):
    """And a trial like the same configuration alone, on the same number of threads."""
    grid = [f"optimizer.learning_rate={rates}", f"seed={seeds}", "sweep.jobs=2", f"sweep.name={NAME}"]
    count = len(rates.split(",")) * len(seeds.split(","))
    peace, killed = make_sweep("peace", *TRIAL, *grid), make_sweep("killed", *TRIAL, *grid)
    in_peace = peace.type()
    assert in_peace.wait() == 0, in_peace.output

    survived = Survived(killed, random.Random(kills))
    for kill in survived.ways(kills):
        kill()
        survived.check()
    last = survived.type()
    assert last.wait() == 0, last.output
    survived.check()
    report(f"a sweep of {count} trials survived {survived}")
    assert len(survived.kills) >= kills - 1  # all trials may be done before the last
    wait_until(lambda: not processes_in(killed.folder), "all processes end", _LONGEST_ORPHAN_SECONDS)

    tried = attempts(killed.results, NAME)
    assert [trial.state.name for trial in tried].count("COMPLETE") == count
    assert {trial.state.name for trial in tried} <= {"COMPLETE", "FAIL"}
    assert len(outcome(peace.results, NAME)) == count
    assert outcome(killed.results, NAME) == outcome(peace.results, NAME)
    _assert_one_whole_sweep_in_mlflow(killed.results, count)
    expected, found = histories(peace.results), histories(killed.results)
    assert found.keys() == expected.keys()
    for config_hash, history in expected.items():
        assert history["status"] == "FINISHED"
        assert found[config_hash] == history

    alone = make_sweep("alone", *TRIAL, "trainer.threads=1", "optimizer.learning_rate=0.1", "seed=1")
    single = alone.type(multirun=False)
    assert single.wait() == 0, single.output
    _, children = mlflow_runs(peace.results)
    (same,) = [run for run in children
               if run.data.params["optimizer.learning_rate"] == "0.1" and run.data.params["seed"] == "1"]  # fmt: skip
    shown = single.lines("weights ")[0]
    assert same.data.tags["kerasdl.weights"] in shown


class Survived:
    """Runs a sweep and kills it, again and again, and checks what must hold after each kill.

    Args:
        sweep: to be killed.
        draw: decides what is killed, and when.
    """

    def __init__(self, sweep, draw):
        self._sweep = sweep
        self._draw = draw
        self._ends = {}
        self._orphaned = None
        self.kills = []
        self.longest_orphan = 0.0

    def __str__(self):
        return f"{len(self.kills)} kills ({', '.join(self.kills)}); orphans lived {self.longest_orphan:.1f} s at most"

    def ways(self, kills):
        """Returns whether the sweep or a single trial is killed: in turns, and then in an order drawn."""
        ways = list(itertools.islice(itertools.cycle([self._kill_sweep, self._kill_trial]), kills))
        self._draw.shuffle(ways)
        return ways

    def type(self):
        """Runs the command; the trials of a sweep that was killed a moment ago may still be saving their state."""
        typed = self._sweep.type()
        self._await_orphans()
        return typed

    def check(self):
        """What is finished is not run again, whoever was killed before it could tell."""
        now = ends(self._sweep.results)
        assert self._ends.items() <= now.items(), "a trial was run to its end twice"
        self._ends = now

    def _kill_sweep(self):
        typed, events = self.type(), self._draw.randint(0, 4)
        typed.wait_until(lambda: len(typed.lines("trial ")) >= events and typed.descendants(), f"{events} events")
        pause(typed, self._draw, 4)
        trials = len(typed.trials())
        typed.signal(signal.SIGKILL)
        if typed.wait() != -signal.SIGKILL:
            return  # all was done before
        self.kills.append(f"sweep after event {events} with {trials} trials")
        self._orphaned = typed, time.monotonic()
        if self._draw.random() < 0.5:
            self._await_orphans()

    def _await_orphans(self):
        if self._orphaned:
            (typed, since), self._orphaned = self._orphaned, None
            wait_until(lambda: not typed.left(), "a killed sweep's processes end", _LONGEST_ORPHAN_SECONDS)
            self.longest_orphan = max(self.longest_orphan, time.monotonic() - since)

    def _kill_trial(self):
        """Then Ctrl-C, so that the failed trial is tried again by the next run of the command."""
        typed, process, log = self.type(), None, None
        while process is None:  # one that ends before its moment has come is replaced by another
            trials = typed.wait_until(typed.trials, "a trial")
            if trials is None:
                return  # none is left
            process, log = self._await_moment(typed, *self._draw.choice(sorted(trials.items(), key=lambda one: one[1])))
        process.send_signal(signal.SIGKILL)
        number = log.stem.partition("-")[2]
        # FINISHED if all had been kept, and only the trial's last word was unsaid.
        told = re.compile(rf"trial {number} +(FAILED|FINISHED)")
        typed.wait_until(lambda: told.search(typed.output), "the sweep's notice of the kill")
        typed.signal(signal.SIGINT)
        assert typed.wait() in (130, 1), typed.output  # 1 if it was the last
        wait_until(lambda: not typed.left(), "an interrupted sweep's processes end", _LONGEST_ORPHAN_SECONDS)
        states = {state for state, _ in outcome(self._sweep.results, NAME).values()}
        assert states <= {"COMPLETE", "FAIL", "WAITING"}
        self.kills.append(f"trial {number} after line {len(_read(log))} of its log")

    def _await_moment(self, typed, process, log):
        """Waits until a trial has said more; returns it, or None if it ends before."""
        enough = len(_read(log)) + self._draw.randint(0, 8)
        typed.wait_until(lambda: len(_read(log)) >= enough or process not in typed.trials(), "a trial's words")
        pause(typed, self._draw, 1)
        return (process, log) if process in typed.trials() else (None, None)


def _read(log):
    return log.read_text().splitlines()


def _assert_one_whole_sweep_in_mlflow(results, count):
    (parent,), children = mlflow_runs(results)
    assert parent.info.status == "FINISHED"
    assert len(children) == count
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
