"""Which images and labels a data set may hold: what is handled, and the one line that refuses the rest."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from kerasdl import compose, data, run
from kerasdl.data.tfds import Tfds
from kerasdl.errors import DataError


class Kinds(tfds.core.GeneratorBasedBuilder):
    """A set whose features, images (pixels, or the bytes of a file) and labels a test sets."""

    VERSION = tfds.core.Version("1.0.0")
    image: dict = {}
    label: dict = {}
    examples: tuple = ()

    def _info(self):
        features = {"image": tfds.features.Image(**self.image), "label": tfds.features.ClassLabel(**self.label)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index, (image, label) in enumerate(self.examples):
            yield f"{index:03}", {"image": io.BytesIO(image) if isinstance(image, bytes) else image, "label": label}


@pytest.fixture
def kinds(configure, tmp_path, monkeypatch):
    """Returns the function that sets the set up and gives the `data` node that names it."""

    def make(image=None, label=None, examples=(), **keys):
        for name, value in (
            ("image", image or {"shape": (6, 6, 1)}),
            ("label", label or {"names": ["a", "b"]}),
            ("examples", examples),
        ):
            monkeypatch.setattr(Kinds, name, value)
        if examples:
            tfds.builder("kinds", data_dir=tmp_path).download_and_prepare()
        keys = {"test_split": None, "validation": 0, "shuffle": False, **keys}
        return configure(name="kinds", data_dir=str(tmp_path), **keys)

    return make


@pytest.fixture
def loaded(tmp_path):
    return lambda config: data.load(config, 0, str(tmp_path / "cache"))


@pytest.fixture
def trained_on(loaded, build_task):
    """Builds a classifier's task on the data that a `data` node names."""

    def build(node):
        config = compose(["model=image_classifier", "model.filters=[2]", "model.kernel_sizes=[3]"])
        config.data = node
        return build_task(config, loaded(node))

    return build


def file(pixels, format="PNG", **options):
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, format, **options)
    return written.getvalue()


RANDOM = np.random.default_rng(0)
GREY, LA, RGB, RGBA = (
    RANDOM.integers(0, 256, (6, 6, channels) if channels > 1 else (6, 6), np.uint8) for channels in (1, 2, 3, 4)
)


@pytest.mark.parametrize(
    ("image", "received", "advice"),
    [
        (
            {"shape": (6, 6, 1), "dtype": np.uint16},
            r"uint16 \(6, 6, 1\)",
            "Scale uint16 pixels to 0..255 in the builder",
        ),
        ({"shape": (None, None, 3), "dtype": np.uint16}, r"uint16 \(None, None, 3\)", "Scale uint16 pixels"),
        ({"shape": (6, 6, 1), "dtype": np.float32}, r"float32 \(6, 6, 1\)", "Scale float32 pixels to 0..255"),
        ({"shape": (6, 6, 2)}, r"uint8 \(6, 6, 2\)", "Choose 1, 3 or 4 channels in the builder"),
        ({"shape": (6, 6, 5)}, r"uint8 \(6, 6, 5\)", "Choose 1, 3 or 4 channels"),
        ({"shape": (None, 6, 6, 3)}, r"uint8 \(None, 6, 6, 3\)", "Choose one frame of each example"),
        ({"shape": (4, None, None, 3)}, r"uint8 \(4, None, None, 3\)", "Choose one frame"),
    ],
)
def test_images_of_another_kind_are_refused_in_a_line_before_anything_is_prepared(kinds, image, received, advice):
    kinds_known = r"must be uint8 of \(height, width, channels\): L, RGB, RGBA\. Received: kinds with "
    with pytest.raises(DataError, match=rf"{kinds_known}{received}\. {advice}") as refused:
        data.check(kinds(image))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("budget", ["1GB", "0"])
@pytest.mark.parametrize("channels", [None, 0, 3])
def test_where_channels_vary_every_image_is_rgb_and_of_animations_the_first_frame(
    kinds, loaded, batches, channels, budget
):
    animation = file(GREY, "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    images = [file(GREY), file(LA), file(RGB), file(RGBA), animation]
    config = kinds({"shape": (None, None, channels)}, None, [(image, index % 2) for index, image in enumerate(images)],
                   image_size=[6, 6], memory_budget=budget)  # fmt: skip
    found = loaded(config)
    assert found.info.features.inputs["image"].shape == (6, 6, 3)
    assert np.array_equal(np.bincount(found.train.column("label")), [3, 2])
    ((pixels, labels),) = batches(found.train)
    expected = [GREY, LA[..., 0], RGB, RGBA[..., :3], GREY]
    expected = [image if image.ndim == 3 else np.dstack([image] * 3) for image in expected]
    # TFDS stores examples in an order of its own.
    assert sorted(image.tobytes() for image in pixels) == sorted(image.tobytes() for image in expected)


@pytest.mark.parametrize("budget", ["1GB", "0"])
@pytest.mark.parametrize("pixels", [GREY[..., None], RGB, RGBA], ids=["grey", "RGB", "RGBA"])
def test_grey_rgb_and_rgba_keep_every_pixel(kinds, loaded, batches, pixels, budget):
    config = kinds({"shape": pixels.shape}, None, [(pixels, 0), (pixels, 1)], memory_budget=budget)
    ((images, _),) = batches(loaded(config).train)
    np.testing.assert_array_equal(images, [pixels, pixels])


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"no image", "Unknown image file format"),
        (file(RGB)[:60], "Invalid PNG data"),
        (file(RGB[:4]), r"\[4,6,3\] is not compatible with expected shape \[6,6,3\]"),
    ],
    ids=["text", "cut", "other size"],
)
def test_an_image_that_is_not_what_its_data_set_says_is_one_line(kinds, loaded, image, why):
    config = kinds({"shape": (6, 6, 3)}, None, [(file(RGB), 0), (image, 1)])
    with pytest.raises(
        DataError, match=rf"An example of train of kinds 1\.0\.0 isn't .* 6x6x3 \(.*{why}.*\)\. Repair"
    ) as one:
        loaded(config)
    assert "\n" not in str(one.value)
    assert "{{" not in str(one.value)


@pytest.mark.parametrize(
    ("label", "received"),
    [({"names": ["cat"]}, "one, 'cat'"), ({"num_classes": 1}, "one, '0'"), ({}, "a ClassLabel without names or")],
)
def test_fewer_than_two_classes_are_refused(kinds, label, received):
    with pytest.raises(DataError, match=rf"at least two classes\. Received: 'kinds' with {received}"):
        Tfds(kinds(label=label or {"num_classes": None}))


@pytest.mark.parametrize("budget", ["1GB", "0"])
def test_a_training_split_of_one_class_is_refused_and_a_trial_on_a_part_of_it_warned_of(
    kinds, trained_on, budget, capsys
):
    examples = [(GREY[..., None], 1)] * 20
    config = kinds(examples=examples, memory_budget=budget)
    with pytest.raises(DataError, match=r"'train', where all 20 training examples are of the class 'b'\. Use a larger"):
        trained_on(config)
    for keys in ({"fraction": 0.5}, {"batches": 1}):
        trained_on(kinds(memory_budget=budget, **keys))
        warnings = capsys.readouterr().err.splitlines()
        assert len(warnings) == 1
        assert "training examples are of the class 'b' with data.fraction=" in warnings[0]


def test_two_classes_are_fine(kinds, trained_on, capsys):
    trained_on(kinds(examples=[(GREY[..., None], index % 2) for index in range(4)]))
    assert capsys.readouterr().err == ""


def test_training_refuses_a_slice_of_sorted_data_and_leaves_no_run(tmp_path, kinds):
    kinds(examples=[(GREY[..., None], 1)] * 30)
    config = compose(["data=tfds", "data.name=kinds", f"data.data_dir={tmp_path}", "data.test_split=null",
                      "model=image_classifier", f"paths.output_dir={tmp_path / 'mlruns'}"])  # fmt: skip
    with pytest.raises(DataError, match=r"data\.train_split must have examples of at least two classes"):
        run(config)
    assert not (tmp_path / "mlruns" / "runs").exists()
