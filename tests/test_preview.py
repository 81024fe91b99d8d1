import matplotlib.image

from kerasdl.config import compose
from kerasdl.preview import preview


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
