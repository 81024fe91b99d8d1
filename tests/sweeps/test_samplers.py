"""Samplers that draw a trial the same, however often the sweep was interrupted; and pruners by their names."""

import importlib.util
import sys

import optuna
import pytest

from kerasdl.config.schema import Pruning
from kerasdl.errors import ConfigError
from kerasdl.sweeps.samplers import pruner, sampler
from kerasdl.sweeps.space import Axis, Interval, Space
from kerasdl.sweeps.trials import State

SPACE = Space(
    (),
    (
        Axis("rate", {}, Interval(1e-4, 1e-1, log=True)),
        Axis("units", {}, Interval(1, 8)),
        Axis("kind", {"a": "a", "b": "b"}),
        Axis("momentum", {}, Interval(0.0, 1.0), {"kind": "a"}),
    ),
)


def worth(chosen):
    """An objective that a sampler can learn: best at rate 0.01 and 4 units."""
    return 1 / (1 + abs(chosen["rate"] - 0.01) + abs(chosen["units"] - 4)) + (chosen["kind"] == "a")


def go_on(study, trials):
    """Adds and finishes trials one after another until there are so many."""
    while len(study.trials()) < trials or any(trial.state is State.WAITING for trial in study.trials()):
        claim = study.claim(None, trials)
        if claim is None:
            study.add_unsampled()
            continue
        chosen = claim.chosen or study.sample(claim, SPACE)
        study.identify(claim, SPACE, chosen, f"hash {claim.number}")
        study.finish(claim, State.FINISHED, [worth(chosen)])
    return [trial.overrides for trial in study.trials()]


@pytest.mark.parametrize("name", ["random", "tpe", "cmaes"])
def test_an_interrupted_sweep_draws_what_an_uninterrupted_one_draws(opened, tmp_path, name):
    whole = go_on(opened(str(tmp_path / "whole"), sampled=name), 16)
    for trials in (3, 4, 11, 12, 16):  # tpe draws its first ten at random
        parts = go_on(opened(str(tmp_path / "parts"), sampled=name), trials)
    assert parts == whole
    assert len({str(overrides) for overrides in whole}) == 16


def test_a_trial_that_is_killed_before_it_is_known_is_drawn_the_same(opened, tmp_path):
    whole = go_on(opened(str(tmp_path / "whole"), sampled="random"), 5)
    study = opened(str(tmp_path / "parts"), sampled="random")
    go_on(study, 3)
    study.add_unsampled()
    claim = study.claim(None, 5)
    drawn = study.sample(claim, SPACE)  # killed here: nobody noted what was drawn
    study.release(claim)
    again = opened(str(tmp_path / "parts"), sampled="random")
    claim = again.claim(None, 5)
    assert claim.chosen is None
    assert again.sample(claim, SPACE) == drawn
    again.release(claim)
    assert go_on(again, 5) == whole


def test_what_failed_and_is_tried_again_changes_no_later_trial(opened, tmp_path):
    whole = go_on(opened(str(tmp_path / "whole"), sampled="random"), 6)
    study = opened(str(tmp_path / "parts"), sampled="random")
    study.add_unsampled()
    claim = study.claim(None, 6)
    study.identify(claim, SPACE, study.sample(claim, SPACE), "hash 0")
    study.finish(claim, State.FAILED, None, error="no memory")
    go_on(study, 3)
    study.retry_failed([0])
    assert go_on(study, 6) == whole


def test_seeds_and_attempts_draw_other_values(opened, tmp_path):
    def first(seed, attempt=0):
        study = opened(str(tmp_path / f"{seed}-{attempt}"), sampled="random", seed=seed)
        study.add_unsampled(attempt)
        return study.sample(study.claim(None, 1), SPACE)["rate"]

    assert len({first(0), first(1), first(0, attempt=1), first(0, attempt=2)}) == 4


def test_only_what_applies_is_drawn(opened, tmp_path):
    for overrides in go_on(opened(str(tmp_path / "study"), sampled="tpe"), 12):
        assert ("momentum" in overrides) == (overrides["kind"] == "a")
        assert isinstance(overrides["units"], int)
        assert 1e-4 <= overrides["rate"] <= 1e-1


def test_tpe_learns_from_the_trials_of_this_very_process(opened, tmp_path):
    chosen = go_on(opened(str(tmp_path / "study"), sampled="tpe"), 30)
    values = [worth(one) for one in chosen]
    assert sum(values[-10:]) > 1.3 * sum(values[:10])  # the first ten are random


def test_gp_without_pytorch_names_what_to_install(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name))
    with pytest.raises(ConfigError, match=r"^sweep=gp needs PyTorch\. .*pip install 'kerasdl\[gp\]', or .*sweep=tpe"):
        sampler("gp", 0)
    assert "torch" not in sys.modules


@pytest.mark.parametrize("name", ["grid", "random", "tpe", "cmaes"])
def test_samplers_say_nothing_about_being_experimental(name, recwarn):
    sampler(name, 0).reseed(3, 0)
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("none", optuna.pruners.NopPruner),
        ("median", optuna.pruners.MedianPruner),
        ("percentile", optuna.pruners.PercentilePruner),
        ("hyperband", optuna.pruners.HyperbandPruner),
        ("asha", optuna.pruners.SuccessiveHalvingPruner),
    ],
)
def test_pruners_by_their_names(name, kind):
    assert type(pruner(name, Pruning())) is kind


def test_the_settings_of_pruning_reach_the_pruner():
    settings = Pruning(startup_trials=7, warmup=3, percentile=40.0, min_resource=2, reduction_factor=4, max_resource=9)
    assert vars(pruner("percentile", settings)).items() >= {
        "_percentile": 40.0, "_n_startup_trials": 7, "_n_warmup_steps": 3
    }.items()  # fmt: skip
    assert vars(pruner("asha", settings)).items() >= {"_min_resource": 2, "_reduction_factor": 4}.items()
    assert vars(pruner("hyperband", settings)).items() >= {"_max_resource": 9, "_reduction_factor": 4}.items()
