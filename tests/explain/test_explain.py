"""`python -m kerasdl.explain`: what it writes and keeps for a trained run, and what it refuses."""

import numpy as np
import pytest
from PIL import Image

from kerasdl import trained
from kerasdl.explain.__main__ import main


@pytest.fixture(scope="module")
def explain(trained_run):
    """Calls the entry point on the trained run and returns its exit code."""

    def call(*arguments):
        try:
            main([f"run={trained_run.id}", f"paths.output_dir={trained_run.output_dir}", *arguments])
        except SystemExit as end:
            return end.code
        return 0

    return call


@pytest.fixture(scope="module")
def network(trained_run):
    return trained.load(trained_run.id, output_dir=trained_run.output_dir)


@pytest.fixture
def pictures(tmp_path):
    """A folder with two pictures of different sizes, and one that isn't."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / "a.png")
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / "b c.jpg")
    (folder / "broken.png").write_bytes(b"not a picture")
    return folder


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def kept(trained_run):
    from kerasdl.config.composition import place
    from kerasdl.tracking import lookup

    return lookup.find(place({"paths.output_dir": str(trained_run.output_dir)}), trained_run.id, None, None)


def test_without_input_the_first_test_image_of_each_class_is_explained_and_kept(explain, network, trained_run, capsys):
    assert explain("method=integrated_gradients,filters", "steps=16") == 0
    out = capsys.readouterr().out
    data = network.data()
    batch = trained.examples(data.test)
    images, labels = batch["image"], batch["label"]
    first = [int(np.flatnonzero(labels == number)[0]) for number in range(10)]
    predicted = network(images[first]).argmax(axis=1)
    for number, index in enumerate(first):
        assert f"test-{index} " in out
        assert f"true {labels[index]}, predicted {predicted[number]} (" in out
    assert "% in 16 steps" in out

    found = kept(trained_run)
    files = {path for path in found.artifacts.list() if path.startswith("explain/")}
    expected = {f"explain/integrated_gradients/test-{index}.png" for index in first}
    filters = {"explain/filters_conv1.png", "explain/filters_conv2.png"}
    assert files == expected | filters | {"explain/sheet.png"}
    gaps = [float(line.partition("gap ")[2].split(" %")[0]) for line in out.splitlines() if "gap " in line]
    assert len(gaps) == 10
    assert found.run.metrics["explain/integrated_gradients_gap"] == pytest.approx(max(gaps) / 100, abs=1e-4)


def test_pictures_of_any_kind_are_explained_broken_ones_reported_and_nothing_is_kept(
    explain, network, pictures, trained_run, tmp_path, capsys
):
    before = kept(trained_run).artifacts.list()
    output = tmp_path / "out" / "here"
    code = explain(
        f"input={pictures}", "method=occlusion,gradcam,feature_maps", "layer=conv2", "target=3", "window=3",
        "stride=2", "log=false", f"output={output}",
    )  # fmt: skip
    assert code == 1
    said = capsys.readouterr()
    assert "broken.png: not a picture" in said.err
    assert files_in(output) == [
        "feature_maps_conv2_a.png",
        "feature_maps_conv2_b_c.png",
        "gradcam/a.png",
        "gradcam/b_c.png",
        "occlusion/a.png",
        "occlusion/b_c.png",
        "sheet.png",
    ]
    assert Image.open(output / "sheet.png").size[0] > 300
    pixels = np.asarray(Image.open(pictures / "a.png"))[None, ..., None]
    name = network.class_names[network(pixels)[0].argmax()]
    assert f"a    predicted {name} (" in said.out
    assert "explained 3 (" in said.out or name == "3"
    assert kept(trained_run).artifacts.list() == before


def test_an_empty_gradcam_map_says_where_to_look_instead(explain, network, tmp_path, capsys):
    from kerasdl.explain.attribution import find_layers, gradcam

    pixels = trained.examples(network.data().test, 20)["image"]
    attribute = gradcam(network.on_pixels([find_layers(network.model).gradcam]))
    maps = [attribute(pixels, np.full(len(pixels), number)) for number in range(10)]
    target, index = next((t, i) for t, of_class in enumerate(maps) for i, map_ in enumerate(of_class) if not map_.any())
    full = next(i for i, map_ in enumerate(maps[target]) if map_.any())
    np.save(tmp_path / "two.npy", pixels[[index, full], ..., 0])
    output = tmp_path / "out"
    what = [f"input={tmp_path}/two.npy", "method=gradcam", f"target={target}", "log=false", f"output={output}"]
    assert explain(*what) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "is empty for" in line]
    assert len(said) == 1
    assert said[0].startswith("Grad-CAM is empty for two_0. Nothing positive: at conv2 no part of the image")
    assert said[0].endswith("Look at integrated gradients, occlusion or an earlier layer (layer=conv1) instead.")


def test_no_more_pictures_than_the_limit(explain, pictures, tmp_path, capsys):
    np.save(tmp_path / "many.npy", np.zeros((5, 8, 8), np.uint8))
    output = tmp_path / "out"
    assert explain(f"input={tmp_path}/many.npy", "method=saliency", "limit=2", "log=false", f"output={output}") == 0
    assert files_in(output / "saliency") == ["many_0.png", "many_1.png"]
    assert "only the first 2 pictures are explained; for more: limit=N" in capsys.readouterr().out
    assert explain("method=saliency", "limit=3", "log=false", f"output={output}", "overwrite=true") == 0
    assert "only the first 3 of 10 classes" in capsys.readouterr().out


def test_maps_that_do_not_add_up_are_warned_of(explain, tmp_path, capsys, monkeypatch):
    import kerasdl.explain.attribution.gradients as gradients

    monkeypatch.setattr(gradients, "MOST_DOUBLINGS", 0)
    assert explain("method=integrated_gradients", "steps=1", "limit=4", "log=false", f"output={tmp_path / 'out'}") == 0
    assert "don't sum to the difference of the logits: gaps of up to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["log=false"], "output must be given with log=false", 2),
        (["input=nowhere.png"], "There is no 'nowhere.png'", 1),
        (["method=gradcan"], "Received: 'gradcan'. Did you mean 'gradcam'", 2),
        (["layer=conv3"], "layer must be one of the network's. Received: 'conv3'. Did you mean", 1),
        (["method=saliency", "layer=conv1"], "layer is for method=gradcam,feature_maps,filters", 2),
        (["target=ten"], "target must be one of the network's classes. Received: 'ten'", 2),
        (["method=occlusion", "window=9"], "window must be at most the image's side", 2),
        (["window=0"], "window must be pixels, e.g. 5, or a share of the sides, e.g. 0.2. Received: '0'", 2),
        (["stride=1.5"], "stride must be pixels", 2),
        (["steps=0"], "steps must be an integer >= 1", 2),
    ],
)
def test_mistakes_are_reported_in_a_line(explain, capsys, arguments, message, code):
    assert explain(*arguments) == code
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("Error: ")
    assert message in said[-1]


def test_a_directory_with_files_is_left_alone(explain, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert explain("method=filters", f"output={tmp_path}") == 1
    assert "has files already. Name another directory, or add overwrite=true" in capsys.readouterr().err
    assert files_in(tmp_path) == ["mine.txt"]


def test_nothing_but_broken_pictures_is_an_error(explain, pictures, capsys):
    assert explain(f"input={pictures}/broken.png") == 1
    assert "none of the pictures of" in capsys.readouterr().err


def test_pictures_of_one_name_get_files_of_their_own():
    from kerasdl.explain.__main__ import _file_names

    names = ["x/a.png", "y/a.jpg", "a-2.png", "d.npy[3]", "-", "é ü.png", "...", "v1.2.png"]
    found = _file_names(names)
    assert found == ("a", "a-2", "a-2_", "d_3", "-", "é_ü", "picture", "v1.2")
    assert len(set(found)) == len(found)
