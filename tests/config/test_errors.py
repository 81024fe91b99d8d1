"""What a mistake on the command line is answered with: one line, the key, what came, the next step; and quickly."""

import os
import re
import subprocess
import sys

import pytest

from kerasdl import compose
from kerasdl.config.checks import check
from kerasdl.config.instantiate import check_target, instantiate
from kerasdl.errors import ConfigError

MISTAKES = {
    "modle=cnn": "modle: there is no such key. Did you mean 'model'?",
    "model=cn": "there is no such option. Did you mean 'cnn'? Known: autoencoder, cnn, image_classifier, layers, mlp.",
    "optimizer=adm": "Did you mean 'adam'?",
    "trainer.epoch=3": "trainer.epoch: there is no such key. Did you mean 'epochs'?",
    "optimizer.momentun=0.9": "optimizer.momentun: there is no such key. Did you mean 'momentum'?",
    "+data.shufle=true": "data.shufle: there is no such key. Did you mean 'shuffle'?",
    "learning_rate=0.1": "learning_rate: there is no such key. Did you mean 'optimizer.learning_rate'?",
    "optimizer.lr=0.1": "optimizer.lr: there is no such key. Did you mean 'optimizer.learning_rate'?",
    "data.image_size=28": "data.image_size must be a list, such as '[28,28]'.",
    "+sed=3": "sed: there is no such key. Did you mean 'seed'?",
    "sweep=tp": "sweep=tp: there is no such option. Did you mean 'tpe'? Known: cmaes, gp, grid, random, tpe.",
    "sweep.job=2": "sweep.job: there is no such key. Did you mean 'jobs'?",
    "sweep.jobs=two": "sweep.jobs must be an integer. Received: two.",
    "sweep.trials=many": "sweep.trials must be an integer. Received: many.",
    "sweep.heartbeat=soon": "sweep.heartbeat must be a number. Received: soon.",
    "sweep.dry_run=perhaps": "sweep.dry_run must be true or false. Received: perhaps.",
    "sweep.pruning.warm_up=3": "sweep.pruning.warm_up: there is no such key. Did you mean 'warmup'?",
    "trainer.epochs=many": "trainer.epochs must be an integer. Received: many.",
    "optimizer.learning_rate=fast": "optimizer.learning_rate must be a number. Received: fast.",
    "data.shuffle=perhaps": "data.shuffle must be true or false. Received: perhaps.",
    "data.batch_size=0": "data.batch_size must be >= 1. Received: 0.",
    "trainer.epochs=0": "trainer.epochs must be >= 1. Received: 0.",
    "seed=-1": "seed must be >= 0. Received: -1.",
    "optimizer.learning_rate=-0.1": "optimizer.learning_rate must be > 0. Received: -0.1.",
    "optimizer.learning_rate=inf": "optimizer.learning_rate must be > 0. Received: inf.",
    "data.validation=1": "data.validation must be a fraction in [0, 1), a count >= 0 or the name of a split.",
    "data.validation=true": "data.validation must be a fraction in [0, 1), a count >= 0 or the name of a split.",
    "+data.augmentation.shfit=0.1": "data.augmentation.shfit: there is no such key. Did you mean 'shift'?",
    "+callbacks.x=5": "callbacks.x must name a callback by _target_, or be null. Received: 5.",
    "paths.output_dir=": "paths.output_dir must name a folder.",
    "optimizer.learning_rate=nan": "optimizer.learning_rate must be > 0. Received: nan.",
    "optimizer.momentum=1": "optimizer.momentum must be in [0, 1). Received: 1.0.",
    "model.dropout=1.5": "model.dropout must be in [0, 1). Received: 1.5.",
    "model.filters=[10,0]": "model.filters must be >= 1. Received: 0.",
    "model.kernel_sizes=[5]": "model.kernel_sizes must be as long as model.filters.",
    "model.style=funky": "model.style must be sequential or functional. Received: funky.",
    "data.validation=1.0": "data.validation must be a fraction in [0, 1), a count >= 0 or the name of a split.",
    "data.fraction=0": "data.fraction must be in (0, 1]. Received: 0.0.",
    "task.label_smoothing=1": "task.label_smoothing must be in [0, 1). Received: 1.0.",
    "task.loss=crossentropy": "Did you mean 'cross_entropy'?",
    "task.metrics=[acuracy]": "Did you mean 'accuracy'?",
    "task.class_weights=equal": "task.class_weights must be null, balanced or a list of numbers >= 0.",
    "trainer.precision=float16": "trainer.precision must be float32, mixed_bfloat16 or mixed_float16.",
    "trainer.device=tpu": "trainer.device must be auto, cpu or gpu. Received: tpu.",
    "trainer.jit=maybe": "trainer.jit must be auto, true or false. Received: maybe.",
    "trainer.steps_per_call=0": "trainer.steps_per_call must be auto or an integer >= 1. Received: 0.",
    "trainer.profile=[20,10]": "trainer.profile must be [first, last]",
    "model._target_=os.system": "model._target_ must name a class or function of",
    "optimizer._target_=keras.utils.get_file": "optimizer._target_ must name a class or function of keras.optimizers",
    "callbacks.x._target_=keras.callbacks.LambdaCallback": "there is no such key",
    "data.normalization.mean=grey": "data.normalization.mean[0] must be a number. Received: grey.",
    "data.normalization.mean=null": "data.normalization.mean[0] must have a value. Received: null.",
    "data.normalization.mean=[]": "data.normalization.mean must be a list of numbers, one or one a channel.",
    "data.normalization.mean=nan": "data.normalization.mean must be a list of numbers, one or one a channel.",
    "data.normalization.std=0": "data.normalization.std must be > 0. Received: 0.0.",
    "optimizer.learning_rate=null": "optimizer.learning_rate must have a value. Received: null.",
    "trainer.checkpoint=null": "trainer.checkpoint must have a value. Received: null.",
    "optimizer.learning_rate=0.1,0.2": "To sweep over it, add --multirun",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_is_named_with_its_next_step(override):
    with pytest.raises(ConfigError, match=re.escape(MISTAKES[override])) as caught:
        check(compose([override]))
    assert "\n" not in str(caught.value)


def test_only_a_classifier_trains_on_attacked_images():
    words = ["task=regression", "model=mlp", "data=diabetes", "trainer.adversarial.epsilon=0.1"]
    with pytest.raises(ConfigError, match="must be 0 with task=regression: only classification trains on attacked"):
        check(compose(words))


INTERPOLATIONS = {
    "optimizer.learning_rate=${oc.env:LR_UNSET}": "the environment variable LR_UNSET isn't set. Set it, or give a "
    "default: ${oc.env:LR_UNSET,VALUE}.",
    "optimizer.learning_rate=${trainer.lr}": "there is no key trainer.lr. Did you mean 'optimizer.learning_rate'?",
    "optimizer.learning_rate=${trainer.epoch}": "there is no key trainer.epoch. Did you mean 'trainer.epochs'?",
    "optimizer.learning_rate=${sed}": "there is no key sed. Did you mean 'seed'?",
    "optimizer.learning_rate=${nothing.like.it}": "there is no key nothing.like.it.",
    "optimizer.learning_rate=${env:LR}": "there is no resolver env. Known: oc.env, oc.select, oc.decode, ...",
    "optimizer.learning_rate=${optimizer.learning_rate}": "it refers to itself.",
    "resume=${last_run}": "there is no key last_run.",
    "paths.output_dir=runs/${user}": "there is no key user.",
    "model.filters=[10,${x}]": "there is no key x.",
}


@pytest.mark.parametrize("override", INTERPOLATIONS)
def test_an_interpolation_that_stands_for_nothing_names_its_key(override):
    key, _, value = override.partition("=")
    with pytest.raises(ConfigError) as caught:
        check(compose([override]))
    where, _, why = str(caught.value).partition(" can't be resolved: ")
    assert where == {"model.filters": "model.filters[1]: ${x}"}.get(key, f"{key}: {value}")
    assert why == INTERPOLATIONS[override]


def test_an_interpolation_of_another_type_or_to_a_missing_value_names_both_keys():
    with pytest.raises(
        ConfigError, match=r"^optimizer.learning_rate must be a number\. Received: kerasdl\. It comes from"
    ):
        check(compose(["optimizer.learning_rate=${tracking.experiment}"]))
    with pytest.raises(ConfigError, match=r"data.name has no value\. Give one: data.name=\.\.\."):
        check(compose(["data=tfds", "tracking.run_name=${data.name}"]))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optimizer.clipnorm=1", "optimizer.clipvalue=1"], "exclude each other"),
        (["callbacks=early_stopping", "data.validation=0"], "callbacks.early_stopping.monitor is val_loss, but"),
        (["callbacks=early_stopping", "callbacks.early_stopping.monitor=val_acc"], "Did you mean 'val_accuracy'?"),
        (
            ["trainer.deterministic=true", "trainer.jit=true"],
            "trainer.deterministic=true needs trainer.jit=auto or false",
        ),
        (["trainer.check_numerics=true", "trainer.jit=true"], "trainer.check_numerics needs trainer.jit=false"),
        (["data=tfds"], "data.name has no value"),
        (["model=layers", "model.layers=[{_target_: os.system, command: id}]"], "model.layers.0._target_ must name"),
        (["model=layers", "model.layers=[{_target_: keras.layers.Lambda}]"], "model.layers.0._target_ must name"),
        (["model=layers", "model.layers=[{_target_: kerasdl.cli.hydra_main}]"], "model.layers.0._target_ must name"),
    ],
    ids=str,
)
def test_contradictions_and_forbidden_targets_are_refused(overrides, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        check(compose(overrides))


def test_the_functions_of_the_package_itself_cannot_be_called(tmp_path):
    """Allowing all of kerasdl would allow its own benchmark to start a process."""
    trace = tmp_path / "trace"
    node = {
        "_target_": "kerasdl.benchmark.__main__.Program",
        "name": "x",
        "command": ["timeit", f"open({str(trace)!r}, 'w')"],
    }
    for place in ("callbacks.x", "model", "model.kernel_initializer", "task", "optimizer", "schedule"):
        with pytest.raises(ConfigError, match="must name a class or function of"):
            instantiate({"_target_": "kerasdl.benchmark.__main__.measure", "program": node}, place)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("model.layers.0", "keras.layers.StringLookup"),
        ("model.encoder.layers.0", "keras.layers.StringLookup"),
        ("model.encoder.layers.0", "keras.layers.Lambda"),
        ("model.encoder.layers.0", "kerasdl.models.cnn"),
        ("model.layers.0", "keras.layers.TextVectorization"),
        ("model.layers.0", "keras.layers.deserialize"),
        ("optimizer", "keras.optimizers.get"),
        ("callbacks.x", "keras.callbacks.BackupAndRestore"),
        ("callbacks.x", "keras.callbacks.LambdaCallback"),
    ],
)
def test_what_reads_files_or_builds_from_other_configurations_is_refused(place, target):
    with pytest.raises(ConfigError, match=r"must name|must be a"):
        instantiate({"_target_": target}, place)


@pytest.mark.parametrize("place", ["model", "model.encoder"])
def test_a_network_by_its_role_may_name_what_a_single_one_may(place, monkeypatch):
    monkeypatch.setenv("KERASDL_TARGETS", "my_nets")
    for where, target in (
        (place, "kerasdl.models.cnn"),
        (place, "my_nets.wide"),
        (f"{place}.kernel_regularizer", "keras.regularizers.L2"),
        (f"{place}.layers.0", "keras.layers.Flatten"),
    ):
        check_target(target, f"{where}._target_")
    with pytest.raises(ConfigError, match="must name a class or function of keras"):
        check_target("my_nets.layer", f"{place}.layers.0._target_")  # layers are Keras's alone


def test_a_module_that_an_allowed_one_imports_is_not_reached():
    """`kerasdl.models.layers.re.compile` begins with an allowed name; what it names isn't kerasdl's."""
    for target in (
        "kerasdl.models.seeding.random.seed",
        "kerasdl.models.seeding.derive",
        "kerasdl.models.layers.re.compile",
    ):
        with pytest.raises(ConfigError):
            instantiate({"_target_": target}, "model")


def test_unknown_names_and_arguments_of_a_target_are_named():
    with pytest.raises(ConfigError, match=r"keras.optimizers has no SDG. Did you mean 'SGD'\?"):
        instantiate({"_target_": "keras.optimizers.SDG"}, "optimizer")
    with pytest.raises(ConfigError, match=r"model.widht: there is no such key."):
        instantiate({"_target_": "kerasdl.models.cnn.build", "widht": 3}, "model", input_shape=(28, 28, 1), classes=2)
    with pytest.raises(ConfigError, match=r"model.layers.0.filtres: there is no such key. Did you mean 'filters'\?"):
        instantiate({"_target_": "keras.layers.Conv2D", "filtres": 3, "kernel_size": 3}, "model.layers.0")
    with pytest.raises(ConfigError, match=r"optimizer: keras.optimizers.SGD refuses its arguments: .*momentun"):
        instantiate({"_target_": "keras.optimizers.SGD", "momentun": 3}, "optimizer")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--cfg", "job"], ["--info"], ["data.batch_size=0"], ["modle=cnn"]], ids=str
)
def test_quick_answers_import_nothing_heavy(arguments):
    code = (
        "import sys; from kerasdl.train import main\n"
        f"sys.argv = ['kerasdl-train', *{arguments!r}]\n"
        "try:\n    main()\nfinally:\n"
        "    heavy = {'tensorflow', 'keras', 'mlflow', 'tensorflow_datasets', 'matplotlib', 'sklearn'}\n"
        "    print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=60)
    assert "HEAVY []" in ended.stdout
    wrong = not arguments[0].startswith("--")
    assert ended.returncode == (2 if wrong else 0)
    if wrong:
        assert re.fullmatch(r"Error: .*\n", ended.stderr)
