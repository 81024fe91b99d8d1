"""What the `sweep` group means: what is refused, what is looked for, and the name of a sweep that has none."""

import copy
import re

import pytest
import yaml
from omegaconf import OmegaConf

from kerasdl.errors import ConfigError
from kerasdl.sweeps.settings import check_sweep, objectives, sweep_name
from kerasdl.sweeps.trials import Objective


@pytest.fixture(scope="module")
def masters(composed):
    """Configurations of sweeps, composed once for each choice of `sweep=`."""
    return {name: composed(f"sweep={name}")[1] for name in ("grid", "tpe")}


@pytest.fixture
def config(masters):
    """Sets keys of a sweep's configuration."""

    def changed(*overrides, sweep="grid"):
        conf = copy.deepcopy(masters[sweep])
        for override in overrides:
            key, _, value = override.partition("=")
            OmegaConf.update(conf, key, yaml.safe_load(value), merge=False)
        return conf

    return changed


@pytest.mark.parametrize("sweep", ["grid", "tpe"])
@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["sweep.name=cnn_1.2-b", "sweep.jobs=8", "sweep.trial_timeout=0.5", "sweep.max_failures=1"],
        ["sweep.pruner=hyperband", "sweep.pruning.max_resource=9", "sweep.pruning.percentile=99.9"],
        ["sweep.metric=val_loss", "sweep.pruner=asha"],
        ["sweep.metric=loss", "data.validation=0"],
        ["sweep.metric=[val_accuracy,seconds]", "sweep.direction=[maximize,minimize]"],
        ["sweep.metric=[val_loss,parameters]"],
    ],
    ids=" ".join,
)
def test_sound_settings_pass(config, overrides, sweep):
    check_sweep(config(*overrides, sweep=sweep))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["resume=auto"], "resume: a sweep resumes by itself. Run its command again, without resume=."),
        (["sweep.sampler=tpee"], "sweep.sampler must be grid or random or tpe or cmaes or gp. Received: tpee. Did you"),
        (["sweep.pruner=hyper"], "sweep.pruner must be none or median or percentile or hyperband or asha. Received: "),
        (["sweep.sampler=random"], "sweep.trials must be the number of trials that random is to choose. Example: swe"),
        (["sweep.trials=5"], "sweep.trials must be null for a grid, which tries all its points. Received: 5. To"),
        (["sweep.sampler=tpe", "sweep.trials=0"], "sweep.trials must be >= 1. Received: 0."),
        (["sweep.seed=-1"], "sweep.seed must be >= 0. Received: -1."),
        (["sweep.jobs=0"], "sweep.jobs must be >= 1. Received: 0."),
        (["sweep.max_failures=0"], "sweep.max_failures must be >= 1. Received: 0."),
        (["sweep.trial_timeout=0"], "sweep.trial_timeout must be > 0. Received: 0.0."),
        (["sweep.heartbeat=0"], "sweep.heartbeat must be > 0. Received: 0.0."),
        (["sweep.heartbeat=.nan"], "sweep.heartbeat must be > 0. Received: nan."),
        (["sweep.pruning.startup_trials=-1"], "sweep.pruning.startup_trials must be >= 0. Received: -1."),
        (["sweep.pruning.warmup=-1"], "sweep.pruning.warmup must be >= 0. Received: -1."),
        (["sweep.pruning.min_resource=0"], "sweep.pruning.min_resource must be >= 1. Received: 0."),
        (["sweep.pruning.reduction_factor=1"], "sweep.pruning.reduction_factor must be >= 2. Received: 1."),
        (["sweep.pruning.percentile=0"], "sweep.pruning.percentile must be > 0. Received: 0.0."),
        (["sweep.pruning.percentile=100"], "sweep.pruning.percentile must be < 100. Received: 100.0."),
        (["sweep.pruning.max_resource=0"], "sweep.pruning.max_resource must be auto or an integer >= 1. Received: 0."),
        (["sweep.pruning.max_resource=most"], "must be auto or an integer >= 1. Received: most."),
        (
            ["sweep.name=a b"],
            "sweep.name must consist of letters, digits, '.', '_' and '-', at most 80. Received: 'a b'.",
        ),
        (["sweep.name='../x'"], "sweep.name must consist of letters"),
        (["sweep.name=" + "x" * 81], "sweep.name must consist of letters"),
        (["sweep.pruner=asha", "sweep.metric=[val_loss,seconds]"], "sweep.pruner needs a single sweep.metric"),
        (
            ["sweep.pruner=asha", "sweep.metric=seconds"],
            "sweep.pruner needs a sweep.metric that each evaluation gives, e.g. val_ac",
        ),
    ],
    ids=lambda item: " ".join(item)[:60] if isinstance(item, list) else "",
)
def test_a_mistake_is_named_with_its_next_step(config, overrides, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        check_sweep(config(*overrides))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], [("val_accuracy", True)]),
        (["task.metrics=[f1]"], [("val_loss", False)]),
        (["sweep.metric=val_loss"], [("val_loss", False)]),
        (["sweep.metric=seconds"], [("seconds", False)]),
        (["sweep.metric=parameters", "sweep.direction=maximize"], [("parameters", True)]),
        (["sweep.metric=[val_accuracy,parameters]"], [("val_accuracy", True), ("parameters", False)]),
        (["sweep.metric=[val_loss,seconds]", "sweep.direction=[maximize,auto]"],
         [("val_loss", True), ("seconds", False)]),
    ],
)  # fmt: skip
def test_what_is_looked_for_and_where_better_is(config, overrides, expected):
    assert objectives(config(*overrides)) == tuple(Objective(*pair) for pair in expected)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["sweep.metric=test_accuracy"],
            "must not be of the test split, which must not decide anything. Received: te",
        ),
        (["sweep.metric=test_loss"], "Use val_loss."),
        (["sweep.metric=[val_loss,test_loss]"], "sweep.metric must not be of the test split"),
        (
            ["data.validation=0"],
            "sweep.metric is val_accuracy, but data.validation is 0. Keep some for validation, e.g.",
        ),
        (["sweep.metric=val_acuracy"], "sweep.metric: no metric 'val_acuracy'. Did you mean 'val_accuracy'?"),
        (
            ["sweep.metric=[]"],
            "sweep.direction must have a direction for each metric of sweep.metric. Received: 0 for 0.",
        ),
        (["sweep.metric=null"], "sweep.metric: no metric 'None'."),
        (["sweep.metric=learning_rate"], "sweep.direction must say whether more or less of learning_rate is better"),
        (["sweep.direction=up"], "sweep.direction must be maximize, minimize or auto. Received: up."),
        (
            ["sweep.direction=[maximize,minimize]"],
            "sweep.direction must have a direction for each metric of sweep.metric. Recei",
        ),
        (["sweep.metric=[val_loss,seconds]", "sweep.direction=minimize"], "Received: 1 for 2."),
    ],
    ids=lambda item: " ".join(item) if isinstance(item, list) else "",
)
def test_an_objective_that_cannot_be_is_refused(config, overrides, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        objectives(config(*overrides))
    assert "\n" not in str(caught.value)


def test_a_task_of_ones_own_has_metrics_that_nobody_knows_beforehand(config):
    conf = config("sweep.metric=val_dice")
    conf.task = {"_target_": "mine.Task"}
    assert objectives(conf) == (Objective("val_dice", True),)


@pytest.fixture
def name(config, read):
    def named(*typed, settings=(), sweep="grid", space=None):
        conf = config(*settings, sweep=sweep)
        return sweep_name(conf, read(*typed, space=space), objectives(conf))

    return named


TYPED = ("model=cnn", "optimizer.learning_rate=0.1,0.01", "seed=0,1")


def test_a_name_begins_with_the_swept_keys(name):
    assert re.fullmatch(r"learning_rate-seed-[0-9a-f]{6}", name(*TYPED))
    assert re.fullmatch(r"single-[0-9a-f]{6}", name("model=cnn"))
    assert re.fullmatch(r"a-b-c-2-more-[0-9a-f]{6}", name(*(f"x.{key}=1,2" for key in "abcde")))
    assert re.fullmatch(r"a-b-c-d-[0-9a-f]{6}", name(*(f"x.{key}=1,2" for key in "abcd")))


@pytest.mark.parametrize(
    "typed",
    [
        ("model=cnn", "optimizer.learning_rate=0.1,0.01,0.5", "seed=range(9)"),
        ("model=cnn", "optimizer.learning_rate=0.01", "optimizer.learning_rate=0.01,0.1", "seed=1,0"),
        (*TYPED, "sweep.jobs=2", "sweep.dry_run=true", "sweep=grid"),
        (*TYPED, "paths.output_dir=./mlruns", "data.data_dir=/d", "data.manual_dir=/m", "trainer.steps_per_call=3"),
        (*TYPED, "tracking.run_name=x", "+tracking.tags.by=me", "tracking=none", "trainer.checkpoint.keep=1"),
    ],
    ids=["widened", "another order", "how it is run", "where things are", "how it is kept"],
)
def test_a_command_that_is_the_same_sweep_has_the_same_name(name, typed):
    assert name(*typed) == name(*TYPED)


def test_the_order_of_what_is_fixed_does_not_count(name):
    assert name("model=cnn", "trainer.epochs=3", "seed=0,1") == name("trainer.epochs=3", "seed=0,1", "model=cnn")


def test_a_command_that_is_another_sweep_has_another_name(name):
    others = [
        name(*TYPED),
        name("model=layers", *TYPED[1:]),
        name(*TYPED[1:]),
        name(*TYPED, "trainer.epochs=3"),
        name(*TYPED[:2], "model.dropout=0.1,0.2"),
        name(*TYPED, settings=["sweep.metric=val_loss"]),
        name(*TYPED, settings=["tracking.experiment=other"]),
        name(*TYPED, sweep="tpe"),
        name(*TYPED, sweep="tpe", settings=["sweep.seed=1"]),
        name(*TYPED, space={"trainer.epochs": 3, "data.batch_size": 64}),
    ]
    assert len(set(others)) == len(others)


def test_the_seed_of_a_grid_only_shuffles(name):
    assert name(*TYPED, settings=["sweep.seed=1"]) == name(*TYPED)


def test_configured_is_as_good_as_typed(name):
    assert name(*TYPED) == name(
        space={"model": "cnn", "optimizer.learning_rate": "0.1,0.01", "seed": "0,1"}
    )  # fmt: skip


def test_a_given_name_stands(name):
    assert name(*TYPED, settings=["sweep.name=mine"]) == "mine"


def test_a_name_can_be_a_folders(name):
    assert re.fullmatch(r"[A-Za-z0-9._-]+", name("model@other.model=cnn,layers"))
