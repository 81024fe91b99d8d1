"""Images with transparency, the whole way: from a data set to training, every command on the run, and the demo."""

import csv
import json

import matplotlib.image
import mlflow
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from kerasdl import compose, run, trained
from kerasdl.channels import opaque
from kerasdl.demo import page
from kerasdl.evaluate import __main__ as evaluate
from kerasdl.explain import __main__ as explain
from kerasdl.export import __main__ as export
from kerasdl.predict import __main__ as predict
from kerasdl.preview import preview
from kerasdl.report import __main__ as report
from kerasdl.robustness import __main__ as robustness

SHAPE = (12, 12, 4)


class Stickers(tfds.core.GeneratorBasedBuilder):
    """Noise of which the left or the right half is transparent: only the fourth channel tells the classes apart."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=SHAPE),
            "label": tfds.features.ClassLabel(names=["left", "right"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(240), "test": self._generate_examples(60)}

    def _generate_examples(self, count):
        random = np.random.default_rng(count)
        for index in range(count):
            image = random.integers(0, 256, SHAPE, np.uint8)
            image[..., 3] = 255
            image[:, slice(0, 6) if index % 2 == 0 else slice(6, 12), 3] = 0
            yield index, {"image": image, "label": index % 2}


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stickers")
    tfds.builder("stickers", data_dir=folder / "tfds").download_and_prepare()
    return [
        "data=tfds", "data.name=stickers", f"data.data_dir={folder / 'tfds'}", "model=image_classifier",
        "data.augmentation.rotation=5", "data.augmentation.cutout=2", "data.batch_size=16", "trainer.epochs=4",
        "optimizer=adam", "tracking.system_metrics=false", f"paths.output_dir={folder / 'mlruns'}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def result(overrides):
    return run(compose(overrides))


@pytest.fixture(scope="module")
def place(overrides, result):
    """What names the run to a command."""
    return [f"run={result.run_id}", overrides[-1]]


@pytest.fixture(scope="module")
def network(place):
    return trained.load(place[0].partition("=")[2], output_dir=place[1].partition("=")[2])


@pytest.fixture
def pictures(network, tmp_path):
    """A folder with four test images as PNG, and their pixels."""
    images = trained.examples(network.data().test, 4)["image"]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder, images


def test_the_network_sees_the_transparency(result, network):
    assert network.image_shape == SHAPE
    assert result.metrics["test_accuracy"] == 1.0


def test_predict_gives_files_as_the_data_set_has_them(place, network, pictures, capsys):
    folder, images = pictures
    predict.main([*place, f"input={folder}", "format=jsonl", "probabilities=true"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [[row["probabilities"][name] for name in network.class_names] for row in rows]
    np.testing.assert_allclose(found, network(images), atol=1e-6)


def test_evaluate_and_robustness_measure_it(place, tmp_path, capsys):
    evaluate.main([*place, f"output={tmp_path / 'evaluation'}"])
    assert "equal to the bit" in capsys.readouterr().out
    robustness.main([
        *place, "examples=40", "attacks=fgsm", "norms=linf", "epsilons.linf=0.1", "severities=3",
        f"output={tmp_path / 'stress'}",
    ])  # fmt: skip
    with (tmp_path / "stress" / "corruptions.csv").open(newline="") as file:
        accuracy = {row["corruption"]: float(row["accuracy"]) for row in csv.DictReader(file)}
    assert accuracy["gaussian_noise"] > 0.9  # noise leaves what is transparent transparent


def test_every_picture_is_drawn(place, overrides, pictures, tmp_path):
    folder, _ = pictures
    explain.main([*place, f"input={folder}", "method=gradcam,saliency,occlusion,filters,feature_maps", "steps=8",
                  f"output={tmp_path / 'why'}"])  # fmt: skip
    sheet = matplotlib.image.imread(tmp_path / "why" / "sheet.png")
    assert sheet[..., :3].std() > 0.1
    seen = matplotlib.image.imread(preview(compose(overrides), tmp_path / "preview.png"))[..., :3]
    white = np.all(seen == 1, axis=-1)
    assert white[100:-100, 100:-100].mean() > 0.3  # half of every image is transparent and lies on white


def test_exports_and_the_report_know_four_channels(place, tmp_path, monkeypatch):
    export.main([*place, "format=keras,litert", "examples=20", f"output={tmp_path / 'out'}"])
    monkeypatch.chdir(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "uint8 (n, 12, 12, 4) with any n; pixels 0 to 255 as they are, red, green, blue, alpha" in card
    sample = card.split("```python\n")[1].split("```")[0]
    found: dict = {}
    exec(sample, found)
    assert found["images"].shape == (1, *SHAPE)
    report.main([*place, f"output={tmp_path / 'report.html'}"])
    assert "stickers" in (tmp_path / "report.html").read_text()


def test_mlflow_serves_it_and_the_demo_takes_pictures_with_their_transparency(place, network, pictures):
    _, images = pictures
    folder = place[1].partition("=")[2]
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    try:
        served = mlflow.pyfunc.load_model(f"runs:/{network.id}/model")
        np.testing.assert_allclose(served.predict(images), network(images), atol=1e-6)
    finally:
        mlflow.set_tracking_uri(None)
    (source,) = (part for part in page.build(network).blocks.values() if getattr(part, "elem_id", "") == "drawing")
    assert (source.type, source.image_mode) == ("pil", "RGBA")
    for image in images:
        named, seen, heat, _ = page._responder(network)(Image.fromarray(image))
        np.testing.assert_allclose([named[name] for name in network.class_names], network(image[None])[0], atol=1e-6)
        np.testing.assert_array_equal(seen[:: len(seen) // 12, :: len(seen) // 12][:12, :12], opaque(image))
        assert heat.shape[-1] == 4
