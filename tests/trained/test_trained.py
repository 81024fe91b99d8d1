"""A network by its run: what `kerasdl.load` gives, and what it says if it can't."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

import kerasdl
from kerasdl.config.identity import config_hash, source_digests
from kerasdl.errors import ConfigError, DataError, ResumeError, TrackingError, UserError
from kerasdl.tracking.store import import_mlflow
from kerasdl.trained import examples


@pytest.fixture(scope="module")
def network(trained_run):
    return kerasdl.load(trained_run.id[:10], output_dir=trained_run.output_dir)


@pytest.fixture(scope="module")
def test_split(network):
    return examples(network.data().test)


@pytest.fixture
def copied(trained_run, tmp_path):
    """The run in a store that a test may damage: its folder, with the addresses in its database as they were."""
    import sqlite3

    output_dir = tmp_path / "mlruns"
    shutil.copytree(trained_run.output_dir, output_dir)
    with sqlite3.connect(output_dir / "mlflow.db") as database:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
        ):
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                (str(trained_run.output_dir), str(output_dir)),
            )
    database.close()
    return output_dir


def model_files(output_dir):
    return next(Path(output_dir).rglob("MLmodel")).parent


def test_everything_comes_from_the_run(network, test_split, trained_run):
    images, labels = test_split["image"], test_split["label"]
    assert network.id == trained_run.id
    assert network.class_names == tuple("0123456789")
    assert network.image_shape == (8, 8, 1)
    probabilities = network(images)
    assert (probabilities.shape, probabilities.dtype) == ((360, 10), np.float32)
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    assert accuracy == pytest.approx(network.metrics["test_accuracy"], abs=1e-9)
    assert network.params["optimizer.learning_rate"]
    assert len(network.tags["kerasdl.weights"]) == 16


def test_pictures_of_another_kind_are_refused(network, test_split):
    images = test_split["image"]
    for wrong in (images.astype(np.float32), images[0], images[:, :4]):
        with pytest.raises(UserError, match=r"images must be uint8 \(n, 8, 8, 1\)\. Received: "):
            network(wrong)


def test_pictures_are_predicted_as_the_command_does(network, test_split, tmp_path):
    from PIL import Image

    images = test_split["image"]
    Image.fromarray(images[0].squeeze()).save(tmp_path / "digit.png")
    one, two = network.predict([tmp_path / "digit.png", tmp_path / "nothing.png"], top=2)
    probabilities = network(images[:1])[0]
    assert one.class_name == network.class_names[probabilities.argmax()]
    assert one.probability == pytest.approx(probabilities.max(), abs=1e-6)
    assert len(one.top) == 2
    assert two.error


def test_its_logits_on_pixels_give_the_same_probabilities_and_have_gradients(network, test_split):
    import tensorflow as tf

    images = tf.constant(test_split["image"][:3], tf.float32)
    logits, features = network.on_pixels(["conv2"])(images)
    np.testing.assert_allclose(tf.nn.softmax(logits), network(test_split["image"][:3]), atol=1e-6)
    assert features.shape[-1] == 64
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = tf.reduce_sum(network.on_pixels()(images)[:, 0])
    assert np.abs(tape.gradient(score, images)).sum() > 0
    with pytest.raises(UserError, match="layer must be one of the network's. Received: 'conv3'. Did you mean"):
        network.on_pixels(["conv3"])


def test_checkpoints_of_the_end_are_the_model(trained_run, network, test_split, capsys):
    for which in ("last", "best"):
        loaded = kerasdl.load(trained_run.id, output_dir=trained_run.output_dir, checkpoint=which)
        assert f"of the {which} checkpoint, at step" in capsys.readouterr().out
        if which == "last":
            np.testing.assert_array_equal(loaded(test_split["image"]), network(test_split["image"]))


AVERAGED = {
    "everything": (
        "model=layers",
        "model.layers=[{_target_: keras.layers.Conv2D, filters: 8, kernel_size: 3},"
        "{_target_: keras.layers.BatchNormalization},{_target_: keras.layers.ReLU},{_target_: keras.layers.Flatten}]",
        "optimizer=adam", "optimizer.learning_rate=0.05", "optimizer.ema_momentum=0.9",
        "optimizer.gradient_accumulation_steps=3", "trainer.precision=mixed_float16",
    ),
    "overwritten": (
        "model.filters=[8]", "model.kernel_sizes=[3]", "optimizer.learning_rate=1.5", "optimizer.ema_momentum=0.8",
        "optimizer.ema_overwrite_frequency=30",
    ),
}  # fmt: skip


@pytest.mark.parametrize("overrides", AVERAGED.values(), ids=AVERAGED)
def test_checkpoints_have_the_averaged_weights_that_were_measured(config, tmp_path, overrides):
    from kerasdl.evaluate.measuring import evaluate

    result = kerasdl.run(
        config(*overrides, "optimizer.use_ema=true", "trainer.checkpoint.best=val_accuracy", "trainer.epochs=3",
               "tracking.system_metrics=false", tracking="mlflow")
    )  # fmt: skip
    accuracies = result.history["val_accuracy"]
    measured = {}
    for which, epoch in (("best", accuracies.index(max(accuracies))), ("last", 2)):
        network = kerasdl.load(result.run_id, output_dir=tmp_path / "mlruns", checkpoint=which)
        examples = network.data()
        task = network.task(examples.info.features)
        measured[which] = evaluate(task, examples.validation, network.class_names).results
        assert measured[which] == {name: result.history[f"val_{name}"][epoch] for name in ("loss", "accuracy")}
    for kept, handed_over in zip(network.model.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, handed_over)


def test_a_checkpoint_of_no_step_has_the_initial_weights(config, build_task):
    """The averages of an optimizer that has done nothing are zeros."""
    from kerasdl import data
    from kerasdl.training.averaging import averaged_weights

    conf = config("optimizer.use_ema=true")
    task = build_task(conf, data.load(conf.data, conf.seed, conf.paths.cache_dir))
    before = task.network.get_weights()
    with averaged_weights(task):
        for weight, initial in zip(task.network.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, initial)


def test_reading_a_checkpoint_changes_nothing_in_the_runs_folder(copied, trained_run, capsys):
    last = max(copied.glob("runs/*/checkpoints/step-*.npz"))
    last.write_bytes(last.read_bytes()[:-1])
    names = sorted(path.name for path in last.parent.iterdir())
    kerasdl.load(trained_run.id, output_dir=copied, checkpoint="last")
    assert "going back to the one before" in capsys.readouterr().err
    assert sorted(path.name for path in last.parent.iterdir()) == names


def test_a_checkpoint_of_code_that_has_changed_since_is_refused(config, tmp_path, monkeypatch):
    """Its weights may fit and mean something else. The model that the run logged needs no code."""
    module = tmp_path / "my_nets_of_a_checkpoint.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERASDL_TARGETS", module.stem)
    network = "[keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes, activation={})]"
    code = f"import keras\n\ndef build(input_shape, classes): return keras.Sequential({network})\n"
    module.write_text(code.format("None"))
    overrides = ("trainer.epochs=1", "data.batches=2", "tracking.system_metrics=false")
    conf = config(*overrides, tracking="mlflow")
    conf.model = OmegaConf.create({"_target_": f"{module.stem}.build"})
    result = kerasdl.run(conf)
    place = {"output_dir": conf.paths.output_dir}
    client = import_mlflow().MlflowClient(f"sqlite:///{conf.paths.output_dir}/mlflow.db")
    run = client.get_run(result.run_id)
    assert run.data.params["model._source_"] == source_digests(conf)["model"]
    assert run.data.tags["kerasdl.config_hash"] == config_hash(conf)
    kerasdl.load("last", **place, checkpoint="last")
    module.write_text(code.format("'tanh'"))
    with pytest.raises(ResumeError, match=r"the source of my_nets_of_a_checkpoint\.build has changed"):
        kerasdl.load("last", **place, checkpoint="last")
    assert kerasdl.load("last", **place).image_shape == (8, 8, 1)


def test_other_data_has_to_fit(network):
    assert network.data(["data.evaluation_batch_size=7"]).test.batch_size == 7
    assert network.data(["data=digits", "data.batches=1"]).train.steps == 1
    with pytest.raises(DataError, match=r"takes images of 8x8x1\. Received: digits with 9x9x1\. Resize"):
        network.data(["data=digits", "data.image_size=[9,9]"])
    for wrong, message in (
        ("data.batch_siz=1", "batch_siz"),
        ("data.batch_size=many", "could not be converted"),
        ("data.batch_size=0", r"data\.batch_size must be >= 1"),
        ("data=digit", "Did you mean 'digits'"),
    ):
        with pytest.raises(ConfigError, match=message):
            network.data([wrong])


def test_classes_have_to_be_those_of_the_run(network):
    from kerasdl.data import DataInfo, Features
    from kerasdl.data.features import image, label
    from kerasdl.trained.other_data import check_fits

    features = Features({"image": image(8, 8, 1)}, {"label": label(("shirt", "shoe"))})
    info = DataInfo("clothes", "1.0.0", features, "tfds://clothes/1.0.0")
    with pytest.raises(DataError, match=r"knows the classes 0, 1, 2, .*Received: clothes with shirt, shoe\."):
        check_fits(info, network.signature)


def test_the_first_examples_of_a_split(network):
    split = network.data(["data.evaluation_batch_size=7"]).test
    first, everything = examples(split, 10), examples(split)
    assert first["image"].shape == (10, 8, 8, 1)
    for name in ("image", "label"):
        np.testing.assert_array_equal(first[name], everything[name][:10])
        assert len(everything[name]) == split.size == 360


def test_a_run_that_never_finished_says_how_far_it_got_and_offers_its_checkpoint(copied, trained_run):
    client = import_mlflow().MlflowClient(f"sqlite:///{copied}/mlflow.db")
    import sqlite3

    with sqlite3.connect(copied / "mlflow.db") as database:
        database.execute("DELETE FROM inputs WHERE destination_type = 'MODEL_OUTPUT'")
    database.close()
    client.set_terminated(trained_run.id, "KILLED")
    with pytest.raises(TrackingError) as caught:
        kerasdl.load("last", output_dir=copied)
    message = str(caught.value)
    assert "never finished: it is KILLED, after 2 of 2 epochs." in message
    assert message.endswith(f"python -m kerasdl.train resume={trained_run.id} paths.output_dir={copied}")
    assert "add checkpoint=last" in message
    assert kerasdl.load("last", output_dir=copied, checkpoint="last").image_shape == (8, 8, 1)
    shutil.rmtree(copied / "runs")
    with pytest.raises(TrackingError, match="There is no checkpoint of it in"):
        kerasdl.load("last", output_dir=copied)
    with pytest.raises(ResumeError, match="there is no run"):
        kerasdl.load("last", output_dir=copied, checkpoint="last")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: shutil.rmtree(folder),
        lambda folder: (folder / "MLmodel").write_text("{"),
        lambda folder: (folder / "data" / "model.keras").unlink(),
        lambda folder: (folder / "data" / "model.keras").write_bytes(b"PK nothing"),
        lambda folder: (folder / "data" / "model.keras").write_bytes(
            (folder / "data" / "model.keras").read_bytes()[:-5000]
        ),
    ],
    ids=["no folder", "MLmodel damaged", "no model file", "another file", "cut off"],
)
def test_a_model_that_is_missing_or_damaged_is_one_line(copied, damage):
    damage(model_files(copied))
    with pytest.raises(
        TrackingError, match=r"the model of run [0-9a-f]{32} can't be used \(.*Its files are in "
    ) as caught:
        kerasdl.load("last", output_dir=copied)
    assert "\n" not in str(caught.value)


def test_a_damaged_configuration_is_one_line(copied):
    path = next(copied.rglob("config.yaml"))
    for text, message in (("a: [", "can't be read"), ("a: 1", "must be one of kerasdl's")):
        path.write_text(text)
        with pytest.raises(TrackingError, match=message):
            kerasdl.load("last", output_dir=copied)


def test_code_in_a_model_file_is_not_executed(copied, tmp_path):
    import keras

    made = tmp_path / "executed"
    image = keras.Input((8, 8, 1), dtype="uint8")
    path = str(made)
    spy = keras.layers.Lambda(lambda x: (open(path, "w").close(), x)[1], output_shape=(8, 8, 1))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(keras.layers.Flatten()(spy(image))))
    made.unlink(missing_ok=True)
    model.save(model_files(copied) / "data" / "model.keras")
    (model_files(copied) / "data" / "custom_objects.cloudpickle").write_bytes(b"\x80 would be unpickled by MLflow")
    with pytest.raises(TrackingError, match="can't be used"):
        kerasdl.load("last", output_dir=copied)
    assert not made.exists()


def test_it_needs_the_tracking_address_only(trained_run, tmp_path, monkeypatch):
    """In another directory, without the folder of runs. In another process: tests/test_streams.py."""
    monkeypatch.chdir(tmp_path)
    network = kerasdl.load(trained_run.id[:12], tracking_uri=f"sqlite:///{trained_run.output_dir}/mlflow.db")
    assert (network.id, network.class_names[3]) == (trained_run.id, "3")
    assert list(tmp_path.iterdir()) == []
