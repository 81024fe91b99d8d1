"""Every file of conf/ composes, its types hold, and its keys are the ones that Keras knows."""

import dataclasses
import inspect

import keras
import pytest
import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from kerasdl import compose
from kerasdl.config import optimizers, schema
from kerasdl.config.checks import check
from kerasdl.config.composition import conf_dir, register
from kerasdl.config.identity import config_hash
from kerasdl.config.instantiate import instantiate

GROUPS = sorted(
    folder.name for folder in conf_dir().iterdir() if folder.is_dir() and folder.name not in ("base", "local")
)
OPTIONS = [(group, file.stem) for group in GROUPS for file in sorted((conf_dir() / group).glob("*.yaml"))]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda item: item)
def test_every_option_composes_and_passes_the_checks(group, option):
    extra = ["data.name=mnist"] if (group, option) == ("data", "tfds") else []
    check(compose([f"{group}={option}", *extra]))


def test_the_default_is_the_classic_recipe():
    config = compose()
    assert (config.data.name, config.data.batch_size, config.trainer.epochs) == ("mnist:3.0.1", 64, 10)
    assert (config.optimizer._target_, config.optimizer.learning_rate) == ("keras.optimizers.SGD", 0.01)
    assert (config.optimizer.momentum, config.task.loss, config.schedule._target_.split(".")[-1]) == (
        0.5,
        "cross_entropy",
        "constant",
    )
    assert config == compose(["model=cnn", "data=mnist"])


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "optimizer"])
def test_every_optimizer_is_built_with_the_values_of_its_file(option):
    config = compose([f"optimizer={option}"]).optimizer
    optimizer = instantiate(config, "optimizer")
    assert isinstance(optimizer, keras.optimizers.Optimizer)
    assert float(optimizer.learning_rate) == pytest.approx(config.learning_rate)
    for key in set(config) - {"_target_", "learning_rate"}:
        assert getattr(optimizer, key, config[key]) == pytest.approx(config[key]), key


@pytest.mark.parametrize("node", optimizers.Optimizer.__subclasses__(), ids=lambda node: node.__name__)
def test_optimizer_types_are_keras_arguments(node):
    known = set(inspect.signature(getattr(keras.optimizers, node.__name__).__init__).parameters)
    assert {item.name for item in dataclasses.fields(node)} - {"_target_"} <= known


def test_every_trainable_keras_optimizer_has_a_file():
    classes = {
        name for name, item in vars(keras.optimizers).items()
        if inspect.isclass(item) and issubclass(item, keras.optimizers.Optimizer)
    }  # fmt: skip
    classes -= {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}  # the base class and wrappers of other optimizers
    assert {node.__name__ for node in optimizers.Optimizer.__subclasses__()} == classes


def typed_files():
    """Returns each file of conf/ that names its type in its defaults list, with that type and what it includes."""
    register()
    files = []
    for file in sorted(conf_dir().glob("*/*.yaml")):
        content = OmegaConf.to_container(OmegaConf.load(file))
        named = dict(item.popitem() for item in content.pop("defaults", []) if isinstance(item, dict))
        types = {group: name for group, name in named.items() if group.startswith("/schema")}
        for group, name in types.items():
            path = f"{group.removesuffix('@_here_').lstrip('/')}/{name}.yaml"
            node = ConfigStore.instance().load(path).node
            base = named.get("/base@_here_")
            included = OmegaConf.load(conf_dir() / "base" / f"{base}.yaml") if base else {}
            written = OmegaConf.to_container(OmegaConf.create({**included, **content}))
            files.append(pytest.param(OmegaConf.get_type(node), written, id=f"{file.parent.name}/{file.stem}"))
    return files


# A choice among the files of a group says what it chooses.
CHOSEN = {"SGD": {"momentum": 0.5}, "Layers": {"layers": ...}, "Tracking": {"backend": "none", "system_metrics": False,
          "git_diff": False, "log_model": False}}  # fmt: skip


@pytest.mark.parametrize(("kind", "written"), typed_files())
def test_a_file_has_the_keys_and_defaults_of_its_type(kind, written):
    """A key's default stands in both, for whoever reads the file and for files that give only what they change."""
    declared = OmegaConf.to_container(OmegaConf.structured(kind))
    assert set(written) == set(declared)
    for key, value in declared.items():
        chosen = CHOSEN.get(kind.__name__, {}).get(key, value)
        assert chosen is ... or written[key] in (value, chosen), key


def test_the_files_with_a_type_are_all_that_have_keys_of_their_own():
    typed = {param.values[0] for param in typed_files()}
    bases = [base for group in schema.CHOICES.values() for base in group.__subclasses__()]
    assert {kind.__name__ for kind in typed} == {
        kind.__name__ for kind in (*bases, schema.Data, schema.Trainer, schema.Tracking, schema.Sweep)
    }


def test_the_keys_that_belong_to_no_group_have_their_defaults_in_train_yaml():
    written = yaml.safe_load((conf_dir() / "train.yaml").read_text())
    declared = schema.Config()
    assert (written["seed"], written["resume"]) == (declared.seed, declared.resume)
    assert written["paths"]["output_dir"] == declared.paths.output_dir
    assert f"'{declared.paths.cache_dir}'" in written["paths"]["cache_dir"]
    groups = {*GROUPS} - {"experiment", "debug"}
    assert {*written} - {"defaults", "hydra"} == {item.name for item in dataclasses.fields(schema.Config)} - groups


SWEEPS = {"grid": None, "random": 20, "tpe": 50, "cmaes": 50, "gp": 30}


@pytest.mark.parametrize(("sampler", "trials"), SWEEPS.items())
def test_a_sweep_is_the_base_with_its_sampler_and_number_of_trials(sampler, trials):
    assert compose([f"sweep={sampler}"]).sweep == dataclasses.asdict(schema.Sweep(sampler=sampler, trials=trials))


def test_every_sampler_has_a_file():
    assert {option for group, option in OPTIONS if group == "sweep"} == {*SWEEPS}


def test_a_recipe_has_a_space_of_its_own(tmp_path):
    """Its keys are whole paths, and its conditions keys, too."""
    sweep = {
        "space": {"optimizer": "sgd,adam", "optimizer.learning_rate": "interval(0.1, 1)"},
        "when": {"optimizer=sgd": {"optimizer.momentum": "0.0,0.9"}},
    }
    (tmp_path / "experiment").mkdir()
    recipe = "# @package _global_\n" + yaml.safe_dump({"defaults": [{"override /sweep": "tpe"}], "sweep": sweep})
    (tmp_path / "experiment" / "mine.yaml").write_text(recipe)
    composed = compose([f"hydra.searchpath=[{tmp_path}]", "experiment=mine"]).sweep
    assert (composed.sampler, composed.space, composed.when) == ("tpe", sweep["space"], sweep["when"])


def test_how_a_configuration_was_found_and_is_kept_is_no_part_of_its_identity():
    base = config_hash(compose())
    for override in ("sweep=tpe", "sweep.jobs=2", "sweep.pruner=asha", "sweep.name=mine", "tracking.git_diff=false"):
        assert config_hash(compose([override])) == base, override


def test_every_key_is_documented_where_it_stands():
    """Each key of a YAML file has a comment on its line, but for what its header or a nested line explains."""
    silent = []
    for file in sorted(conf_dir().rglob("*.yaml")):
        if file.parent.name in ("experiment", "debug", "local"):
            continue  # these set keys that are documented in their own group
        above = ""
        for line in file.read_text().splitlines():
            key, colon, rest = line.partition(":")
            documented = "#" in rest or not rest.strip() or "_target_" in key or line.lstrip().startswith(("#", "-"))
            documented = documented or above.lstrip().startswith("#")
            above = line
            if colon and not documented:
                silent.append(f"{file.relative_to(conf_dir())}: {line}")
    overriding = ("data/", "train.yaml")  # data sets set keys of base/data.yaml; train.yaml's hydra node is Hydra's own
    assert [line for line in silent if not line.startswith(overriding)] == []


def test_a_local_file_overrides_and_is_optional(tmp_path):
    import shutil

    folder = tmp_path / "conf"
    shutil.copytree(conf_dir(), folder, ignore=shutil.ignore_patterns("local"))
    assert compose(conf=folder).trainer.threads is None
    (folder / "local").mkdir()
    (folder / "local" / "default.yaml").write_text(
        yaml.safe_dump({"trainer": {"threads": 2}}).join(["# @package _global_\n", ""])
    )
    assert compose(conf=folder).trainer.threads == 2


def test_the_hash_covers_what_decides_the_result_and_nothing_else():
    base = config_hash(compose())
    for override in ("tracking=none", "tracking.experiment=other", "paths.output_dir=/elsewhere", "data.data_dir=/d",
                     "trainer.steps_per_call=7", "data.manual_dir=/m"):  # fmt: skip
        assert config_hash(compose([override])) == base, override
    for override in ("seed=1", "model.dropout=0.4", "data.batch_size=32", "optimizer=adam", "schedule=cosine",
                     "trainer.precision=mixed_bfloat16", "task.label_smoothing=0.1", "callbacks=early_stopping",
                     "data.augmentation.shift=0.1", "trainer.threads=1"):  # fmt: skip
        assert config_hash(compose([override])) != base, override


@pytest.mark.parametrize("key", ["mean", "std"])
def test_one_number_normalises_all_channels_and_is_the_same_as_a_list_of_one(key, tmp_path):
    typed = compose([f"data.normalization.{key}=1"])
    assert typed == compose([f"data.normalization.{key}=[1.0]"])
    assert config_hash(typed) == config_hash(compose([f"data.normalization.{key}=[1]"]))
    check(typed)
    (tmp_path / "data").mkdir()
    own = f"defaults:\n  - mnist\n  - _self_\nnormalization:\n  {key}: 1\n"
    (tmp_path / "data" / "mine.yaml").write_text(own)
    assert compose([f"hydra.searchpath=[{tmp_path}]", "data=mine"]) == typed


def test_the_hashes_of_lists_stay_what_they_were():
    """Runs of earlier versions are found by them."""
    hashes = {"mean=[0.5]": "be2058f49f9544e6", "mean=[1]": "83af947a1027af84", "std=[0.3]": "113fcab3874ac711"}
    assert {typed: config_hash(compose([f"data.normalization.{typed}"])) for typed in hashes} == hashes
    assert config_hash(compose()) == "0afa0b7ac572659b"


def test_a_model_of_ones_own_has_keys_of_its_own(tmp_path, monkeypatch):
    """A builder in the user's package, named by a file in the user's folder; the environment allows the package."""
    (tmp_path / "my_package.py").write_text(
        "import keras\n\ndef build(input_shape, classes, *, width):\n"
        "    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(width),\n"
        "                             keras.layers.Dense(classes)])\n"
    )
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("_target_: my_package.build\nwidth: 12\n")
    monkeypatch.syspath_prepend(tmp_path)
    overrides = [f"hydra.searchpath=[{tmp_path / 'conf'}]", "model=mine", "model.width=5"]
    config = compose(overrides)
    from kerasdl.errors import ConfigError

    with pytest.raises(ConfigError, match="KERASDL_TARGETS"):
        check(config)
    monkeypatch.setenv("KERASDL_TARGETS", "my_package")
    check(config)
    model = instantiate(config.model, "model", input_shape=(4, 4, 1), classes=3)
    assert model.layers[1].units == 5
