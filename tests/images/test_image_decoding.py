"""One picture in any format, mode and size: the pixels that a network gets, exactly."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from kerasdl.images.decoding import BrokenImage, pixels

SHAPE = (12, 10, 1)


@pytest.fixture(scope="module")
def grey():
    return np.random.default_rng(0).integers(0, 256, SHAPE[:2], dtype=np.uint8)


@pytest.fixture(scope="module")
def colours():
    return np.random.default_rng(1).integers(0, 256, (*SHAPE[:2], 3), dtype=np.uint8)


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PPM", {}),
        ("TGA", {}),
        ("PCX", {}),
        ("SGI", {}),
        ("IM", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG2000", {"irreversible": False}),
        ("DIB", {}),
    ],
)
def test_a_lossless_format_keeps_every_pixel_of_a_picture_that_fits(grey, format, options):
    image = Image.fromarray(grey)
    data = saved(image.convert("RGB") if format == "WEBP" else image, format, **options)
    np.testing.assert_array_equal(pixels(data, SHAPE)[..., 0], grey)


@pytest.mark.parametrize("format", ["JPEG", "AVIF"])
def test_a_lossy_format_keeps_them_nearly(format):
    smooth = np.linspace(0, 255, 28 * 28).reshape(28, 28).astype(np.uint8)
    found = pixels(saved(Image.fromarray(smooth), format, quality=95), (28, 28, 1))[..., 0]
    assert np.abs(found.astype(int) - smooth).max() <= 6


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "I;16", "I;16B", "I", "F"])
def test_the_same_grey_in_every_mode_is_the_same_pixels(grey, mode):
    image = Image.fromarray(grey)
    if mode in ("I;16", "I;16B"):
        image = Image.frombytes(
            mode, image.size, (grey.astype(np.uint16) * 257).astype(">u2" if mode[-1] == "B" else "<u2").tobytes()
        )
    elif mode == "I":
        image = Image.fromarray(grey.astype(np.int32) * 257)
    elif mode in ("RGBa", "La"):
        image = image.convert(mode.upper()).convert(mode)
    else:
        image = image.convert(mode)
    assert image.mode == mode
    np.testing.assert_array_equal(pixels(image, SHAPE)[..., 0], grey)
    np.testing.assert_array_equal(pixels(image, (*SHAPE[:2], 3)), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "PA", "P"])
def test_colour_spaces_and_palettes_come_back_as_colours(colours, mode):
    image = Image.fromarray(colours)
    if mode == "LAB":
        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
        expected = np.asarray(image.convert("RGB"))
    elif mode in ("P", "PA"):
        image = image.quantize(16).convert(mode)
        expected = np.asarray(image.convert("RGB"))
    else:
        image, expected = image.convert(mode), colours
    assert image.mode == mode
    found = pixels(image, (*SHAPE[:2], 3))
    assert np.abs(found.astype(int) - expected).max() <= (0 if expected is not colours else 6)


def test_black_and_white_is_0_and_255(grey):
    bits = Image.fromarray(grey).point(lambda value: value > 127, mode="1")
    np.testing.assert_array_equal(pixels(saved(bits, "PNG"), SHAPE)[..., 0], np.where(grey > 127, 255, 0))


def test_grey_of_colours_is_luma(colours):
    luma = np.rint(colours @ np.array([0.299, 0.587, 0.114]))
    assert np.abs(pixels(saved(Image.fromarray(colours), "PNG"), SHAPE)[..., 0] - luma).max() <= 1


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_and_not_clipped(format):
    deep = np.array([[0, 128, 129, 257], [1000, 32768, 65406, 65535]], dtype=np.uint16)
    found = pixels(saved(Image.fromarray(deep), format), (2, 4, 1))[..., 0]
    np.testing.assert_array_equal(found, [[0, 0, 1, 1], [4, 128, 254, 255]])


def test_16_bits_are_resized_before_they_are_rounded():
    deep = np.full((6, 6), 300, dtype=np.uint16)
    deep[:, 3:] = 65535
    found = pixels(saved(Image.fromarray(deep), "PNG"), (3, 1, 1))
    assert found.ravel().tolist() == [128, 128, 128]


def test_floats_are_0_to_1_or_0_to_255():
    ones = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    assert pixels(Image.fromarray(ones), (1, 3, 1)).ravel().tolist() == [0, 128, 255]
    assert pixels(saved(Image.fromarray(ones * 200), "TIFF"), (1, 3, 1)).ravel().tolist() == [0, 100, 200]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.array([[0.0, 256.0]], np.float32), "0 to 256"),
        (np.array([[0.0, np.nan]], np.float32), "nan"),
        (np.array([[-1, 5]], np.int32), "-1 to 5"),
        (np.array([[0, 65536]], np.int32), "65536"),
    ],
)
def test_values_out_of_range_are_an_error_and_not_a_guess(values, why):
    with pytest.raises(BrokenImage, match=why):
        pixels(Image.fromarray(values), (1, 2, 1))


@pytest.mark.parametrize("background", ["white", "black"])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "grey key", "16-bit key", "RGB key"])
def test_what_is_transparent_lies_on_the_background(background, kind):
    value = np.array([[10, 200, 60]], dtype=np.uint8)  # the middle one is transparent
    alpha = np.array([[255, 0, 255]], dtype=np.uint8)
    if kind in ("RGBA", "LA"):
        bands = [value] * (len(kind) - 1) + [alpha]
        data = saved(Image.merge(kind, [Image.fromarray(band) for band in bands]), "PNG")
    elif kind == "P":
        image = Image.fromarray(value)
        image = image.convert("RGB").quantize(3)
        data = saved(image, "GIF", transparency=image.getpixel((1, 0)))
    elif kind == "16-bit key":
        data = _png_16_bit_with_key(value.astype(np.uint16) * 257, 200 * 257)
    elif kind == "RGB key":
        data = saved(Image.fromarray(value).convert("RGB"), "PNG", transparency=(200, 200, 200))
    else:
        data = saved(Image.fromarray(value), "PNG", transparency=200)
    found = pixels(data, (1, 3, 1), background=background).ravel().tolist()
    assert found == [10, 255 if background == "white" else 0, 60]


def test_half_transparent_is_half_background():
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert pixels(image, (4, 4, 3)).ravel().tolist() == [127] * 48
    assert pixels(image, (4, 4, 3), background="black").max() == 0


@pytest.mark.parametrize("background", ["white", "black"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_a_network_of_rgba_gets_the_picture_s_own_transparency(colours, grey, format, background):
    rgba = np.dstack([colours, grey])
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    data = saved(Image.fromarray(rgba), format, **options)
    np.testing.assert_array_equal(pixels(data, rgba.shape, background=background), rgba)
    inverted = pixels(data, rgba.shape, invert=True)
    np.testing.assert_array_equal(inverted, np.dstack([255 - colours, grey]))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK", "YCbCr", "P", "I;16", "F"])
def test_for_a_network_of_rgba_what_has_no_transparency_is_opaque(mode):
    value = np.array([[0, 255]], np.uint8)
    levels = {"I;16": value.astype(np.uint16) * 257, "F": value.astype(np.float32)}
    image = Image.fromarray(levels[mode]) if mode in levels else Image.fromarray(value).convert(mode)
    assert image.mode == mode
    found = pixels(image, (1, 2, 4))
    assert found[..., 3].tolist() == [[255, 255]]
    assert np.abs(found[..., :3].astype(int) - value[..., None]).max() <= 1


def test_for_a_network_of_rgba_a_transparent_value_is_transparent():
    value = np.array([[10, 200, 60]], dtype=np.uint8)
    deep = _png_16_bit_with_key(value.astype(np.uint16) * 257, 200 * 257)
    for data in (deep, saved(Image.fromarray(value), "PNG", transparency=200)):
        found = pixels(data, (1, 3, 4))[0]
        assert found[:, 3].tolist() == [255, 0, 255]
        assert found[[0, 2]].tolist() == [[10, 10, 10, 255], [60, 60, 60, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_camera_held_sideways_or_upside_down_gives_an_upright_picture(orientation, format):
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :8] = 255  # a corner that tells all eight orientations apart, in blocks that JPEG keeps
    upright[:8, 8:16] = 128
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # Pillow's transpositions, inverted
    image = Image.fromarray(upright)
    stored = image if back is None else image.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {"quality": 95} if format == "JPEG" else {}
    data = saved(stored.convert("RGB"), format, exif=exif, **options)
    found = pixels(data, (16, 32, 1))[..., 0]
    assert np.abs(found.astype(int) - upright).max() <= 8


def test_the_first_frame_of_an_animation_is_taken(grey):
    frames = [Image.fromarray(frame) for frame in (grey, 255 - grey)]
    for format in ("GIF", "TIFF", "PNG", "WEBP"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert np.abs(pixels(data, SHAPE)[..., 0].astype(int) - grey).max() <= (1 if format == "WEBP" else 0), format


@pytest.mark.parametrize("size", [(40, 31), (24, 20), (5, 4), (12, 11), (1, 1), (3, 200)])
@pytest.mark.parametrize("channels", [3, 4])
def test_another_size_is_resized_as_the_data_sets_are(size, channels):
    import tensorflow as tf

    picture = np.random.default_rng(2).integers(0, 256, (*size, channels), dtype=np.uint8)
    as_data_set = tf.image.resize(picture, SHAPE[:2], method="bilinear", antialias=True)
    as_data_set = tf.cast(tf.clip_by_value(tf.round(as_data_set), 0, 255), tf.uint8).numpy()
    found = pixels(saved(Image.fromarray(picture), "PNG"), (*SHAPE[:2], channels))
    different = np.abs(found.astype(int) - as_data_set)
    assert different.max() <= 1  # where float32 falls on the other side of a half
    assert (different > 0).mean() < 0.05


def test_inversion_is_of_the_network_s_pixels(grey):
    data = saved(Image.fromarray(grey), "PNG")
    np.testing.assert_array_equal(pixels(data, SHAPE, invert=True), 255 - pixels(data, SHAPE))
    small = pixels(data, (5, 5, 1))
    np.testing.assert_array_equal(pixels(data, (5, 5, 1), invert=True), 255 - small)


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_arrays_are_taken_with_up_to_four_channels(grey, channels):
    array = grey if channels is None else np.stack([grey] * channels, axis=-1)
    if channels in (2, 4):
        array[..., -1] = 255
    for shape in (SHAPE, (*SHAPE[:2], 3)):
        found = pixels(array, shape)
        assert found.shape == shape
        np.testing.assert_array_equal(found, np.stack([grey] * shape[2], axis=-1))


def test_what_is_no_picture_says_so(grey, tmp_path):
    png = saved(Image.fromarray(np.tile(grey, (20, 20))), "PNG")
    cases = {
        "text.png": (b"a picture of a seven", "not a picture"),
        "empty.png": (b"", "empty"),
        "cut.png": (png[: len(png) // 2], "truncated|[Bb]roken|incomplete"),
        "cut.jpg": (saved(Image.fromarray(np.tile(grey, (20, 20))), "JPEG")[:900], "truncated"),
        "cut.tif": (saved(Image.fromarray(grey), "TIFF")[:60], ""),
    }
    for name, (data, why) in cases.items():
        (tmp_path / name).write_bytes(data)
        for content in (data, tmp_path / name):
            with pytest.raises(BrokenImage, match=why) as caught:
                pixels(content, SHAPE)
            assert str(tmp_path) not in str(caught.value), "the name is told once, by whoever reports it"
    with pytest.raises(BrokenImage, match="No such file"):
        pixels(tmp_path / "none.png", SHAPE)
    with pytest.raises(BrokenImage, match="[Ii]s a directory"):
        pixels(tmp_path, SHAPE)


def test_any_damage_is_told_in_one_way(grey):
    """Flipped bytes anywhere lead to pixels or to a `BrokenImage`, never to another exception."""
    generator = np.random.default_rng(3)
    outcomes = set()
    for format in ("PNG", "GIF", "TIFF", "BMP", "PCX", "SGI", "JPEG", "PPM", "ICO", "TGA"):
        data = np.frombuffer(saved(Image.fromarray(grey), format), np.uint8)
        for _ in range(60):
            damaged = data.copy()
            places = generator.integers(0, min(len(data), 120), 3)
            damaged[places] = generator.integers(0, 256, 3)
            try:
                outcomes.add(pixels(damaged.tobytes(), SHAPE).shape)
            except BrokenImage:
                outcomes.add("broken")
    assert outcomes == {SHAPE, "broken"}


def test_a_decompression_bomb_is_broken(monkeypatch, grey):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(BrokenImage, match="limit of 50 pixels"):
        pixels(saved(Image.fromarray(grey), "PNG"), SHAPE)


def _png_16_bit_with_key(values, key):
    """A grey PNG of 16 bits with a transparent value, which Pillow reads and doesn't write."""
    data = saved(Image.fromarray(values), "PNG")
    start = data.index(b"IDAT") - 4

    chunk = b"tRNS" + struct.pack(">H", key)
    return data[:start] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[start:]
