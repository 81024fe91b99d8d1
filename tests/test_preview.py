import matplotlib.image
import numpy as np
import pytest

from kerasdl.config import compose
from kerasdl.errors import DataError
from kerasdl.preview import _sheet, preview


def test_a_contact_sheet_shows_the_first_batch(tmp_path):
    config = compose(
        [
            "data=digits",
            f"data.data_dir={tmp_path}",
            f"paths.cache_dir={tmp_path}",
            "data.augmentation.rotation=10",
            "data.batch_size=20",
        ]
    )
    path = preview(config, tmp_path / "out" / "preview.png")
    sheet = matplotlib.image.imread(path)
    assert sheet.shape[0] > 300
    assert sheet.shape[1] > 900
    assert 0.1 < sheet[..., :3].mean() < 0.9
    assert [file.name for file in path.parent.iterdir()] == ["preview.png"]


@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 64, 1), (64, 16, 3)])
def test_names_lie_under_their_images_and_clear_of_each_other(shape):
    figure = _sheet(np.zeros((10, *shape), "float32"), ["a very long name of a class", "$5$"] * 5)
    figure.draw_without_rendering()
    shown = [axes for axes in figure.axes if axes.images]
    names = [axes.texts[0].get_window_extent() for axes in shown]
    assert not shown[1].texts[0].get_parse_math()
    assert all(name.y1 <= axes.get_window_extent().y0 for name, axes in zip(names, shown, strict=True))
    assert all(left.x1 < right.x0 for left, right in zip(names[:7], names[1:8], strict=True))
    assert min(min(name.x0, name.y0) for name in names) >= 0


def test_a_table_has_nothing_to_show(tmp_path):
    with pytest.raises(DataError) as caught:
        preview(compose(["data=diabetes", "model=mlp", "task=regression"]), tmp_path / "preview.png")
    assert str(caught.value) == (
        "preview needs data with images. Received: diabetes with 10 numbers, target progression (number). "
        "Choose other data, e.g. data=mnist."
    )
