"""The demo: a digit drawn in a real browser, where there is one; what the drawing becomes."""

import urllib.request

import numpy as np
import pytest
from PIL import Image, ImageDraw

import kerasdl
from kerasdl.demo import __main__ as demo
from kerasdl.demo import page
from kerasdl.demo.drawing import centred

SHAPE = (28, 28, 1)


def drawn(*lines, size=280, width=20, alpha=False):
    picture = Image.new("RGBA", (size, size), (0, 0, 0, 0) if alpha else "white")
    for line in lines:
        ImageDraw.Draw(picture).line(line, fill="black", width=width)
    return picture


def test_a_drawing_is_scaled_to_a_box_with_its_mass_in_the_middle():
    far_and_small = centred(drawn((200, 220, 200, 270), width=8), SHAPE)[..., 0]
    rows, columns = np.nonzero(far_and_small)
    assert rows.max() - rows.min() + 1 == 20  # its longer side fills the box
    weights = far_and_small[rows, columns].astype(float)
    assert abs(np.average(rows, weights=weights) - 13.5) <= 0.5
    assert abs(np.average(columns, weights=weights) - 13.5) <= 0.5
    assert far_and_small.max() > 200


def test_where_it_is_drawn_and_how_large_makes_no_difference():
    lines = [(60, 60, 160, 60), (160, 60, 100, 200)]
    one = centred(drawn(*lines), SHAPE).astype(int)
    moved = centred(drawn(*[tuple(value + 50 for value in line) for line in lines]), SHAPE).astype(int)
    np.testing.assert_array_equal(one, moved)
    larger = centred(drawn(*[tuple(2 * value for value in line) for line in lines], size=560, width=40), SHAPE)
    assert np.abs(one - larger).mean() < 4


def test_transparent_paper_is_paper_and_an_empty_page_is_black():
    np.testing.assert_array_equal(
        centred(drawn((50, 50, 200, 200), alpha=True), SHAPE), centred(drawn((50, 50, 200, 200)), SHAPE)
    )
    assert not centred(drawn(), SHAPE).any()
    assert centred(drawn((50, 50, 200, 200)), (8, 8, 3)).shape == (8, 8, 3)


@pytest.fixture(scope="module")
def served(trained_run, tmp_path_factory):
    """The demo's address, served by threads of this process."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    built = page.build(kerasdl.load(trained_run.id, output_dir=trained_run.output_dir))
    _, address, _ = demo.launch(built, "127.0.0.1", demo._free_port("127.0.0.1"))
    yield address
    built.close(verbose=False)
    patch.undo()


def test_a_digit_drawn_in_a_browser_has_probabilities_and_a_heat_map(served, browser):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(served)
    wait = WebDriverWait(browser, 60)
    wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, "#drawing canvas"))
    # The page has taken the brush by itself: nothing else is asked of who draws.
    wait.until(lambda d: "select the draw tool" not in d.find_element(By.ID, "drawing").text)
    canvas = browser.find_elements(By.CSS_SELECTOR, "#drawing canvas")[-1]
    stroke = ActionChains(browser, duration=20).move_to_element_with_offset(canvas, 0, -60).click_and_hold()
    for _ in range(8):
        stroke.move_by_offset(0, 15)
    stroke.release().perform()
    wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, "#heat img"))
    lines = browser.find_element(By.ID, "probabilities").text.split("\n")
    assert sorted(line for line in lines[2:] if not line.endswith("%")) == list("0123456789")
    assert sum(int(line[:-1]) for line in lines if line.endswith("%")) == pytest.approx(100, abs=5)
    assert browser.find_elements(By.CSS_SELECTOR, "#seen img")
    assert browser.find_element(By.ID, "note").text.startswith("Grad-CAM at ")
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded
    assert all(name.startswith((served, "data:", "blob:")) for name in loaded)


def test_the_drawing_area_is_whole_at_any_width(served, browser, resize):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(browser, 60)
    for width in (400, 740, 1200):
        resize(width)
        browser.get(served)
        wait.until(lambda d: "select the draw tool" not in d.find_element(By.ID, "drawing").text)
        wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, "#drawing canvas"))
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        for name in ("#drawing", "#drawing canvas", "#probabilities", "#seen", "#heat"):
            box = browser.find_elements(By.CSS_SELECTOR, name)[-1].rect
            around = browser.find_element(By.ID, "drawing").rect if "canvas" in name else {"x": 0, "width": width}
            assert around["x"] <= box["x"], (width, name)
            assert box["x"] + box["width"] <= around["x"] + around["width"], (width, name)


def test_a_heat_map_of_nothing_is_explained():
    seen, empty = (page._caption("Grad-CAM at conv2", "7", is_seen) for is_seen in (True, False))
    assert seen == "Grad-CAM at conv2: the brighter, the more it counts for **7**."
    assert empty.startswith("Grad-CAM at conv2 finds nothing that counts for **7**.")
    assert "method=integrated_gradients,occlusion" in empty


def test_it_says_what_the_network_is(served, trained_run):
    with urllib.request.urlopen(served, timeout=30) as response:
        text = response.read().decode()
    assert trained_run.id in text
    assert "digits" in text


def test_without_gradio_the_extra_is_named(monkeypatch, capsys, trained_run):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    with pytest.raises(SystemExit) as caught:
        demo.main([f"run={trained_run.id}", f"paths.output_dir={trained_run.output_dir}"])
    assert caught.value.code == 2
    assert "pip install 'kerasdl[demo]'" in capsys.readouterr().err


def test_a_port_in_use_is_one_line(served, trained_run, capsys):
    port = served.rstrip("/").rpartition(":")[2]
    with pytest.raises(SystemExit) as caught:
        demo.main([f"run={trained_run.id}", f"paths.output_dir={trained_run.output_dir}", f"port={port}"])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert f"port: {port} on 127.0.0.1 can't be listened on" in error
    assert "Traceback" not in error
