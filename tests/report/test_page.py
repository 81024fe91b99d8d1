"""A run's page: what is in it, and that it needs and does nothing else."""

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from kerasdl.config.composition import place
from kerasdl.report import __main__ as report
from kerasdl.report.run_page.attachments import MAX_ROWS
from kerasdl.report.run_page.document import html
from kerasdl.report.run_page.gathering import gather
from kerasdl.report.run_page.reproduction import Reproduction
from kerasdl.tracking import lookup
from kerasdl.tracking.history import read_history

VOID = {"meta", "img", "source", "link", "br", "hr", "input", "base"}


class Parsed(HTMLParser):
    """A document's tags with their attributes, and its visible text; fails where tags aren't balanced."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def page(reported, tmp_path_factory):
    return html(gather(reported.found, read_history(reported.found), tmp_path_factory.mktemp("fetched")))


@pytest.fixture(scope="module")
def parsed(page):
    return Parsed(page)


def test_it_loads_nothing_and_runs_nothing(page, parsed):
    (policy,) = [meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "svg", "video", "audio"}
    for _, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "#").startswith(("data:image/", "#"))
    style = page[page.index("<style>") : page.index("</style>")]
    assert not re.search(r"url\(|@import|expression", style)


def test_what_comes_from_outside_is_text(page, parsed):
    assert "<script" not in page
    assert "<img src=x" not in page
    assert parsed.text.count("<script>alert('x')</script>") == 5  # note, machine, sweep, a cell of a table, a text
    assert "{{ 7*7 }}" in parsed.text


def test_every_picture_of_the_run_is_in_it(page, reported):
    pictures = [path for path in reported.found.artifacts.list() if path.endswith(".png")]
    of_training, ours = {"confusion_matrix.png", "learning_curves.png"}, {"mine.png", "explain/broken.png"}
    assert {*of_training, *ours} <= {*pictures}
    files = reported.output_dir / "reported" / reported.id / "artifacts"
    left_out = {"learning_curves.png", "explain/broken.png"}  # drawn anew and sharper; not a picture
    for path in sorted({*pictures} - left_out):
        assert base64.b64encode((files / path).read_bytes()).decode() in page, path
    assert "explain/broken.png (can&#39;t be read" in page


def test_pictures_and_tables_can_be_read_aloud(parsed):
    assert all(image["alt"].strip() and int(image["width"]) > 0 for image in parsed.all("img"))
    charts = [image["alt"] for image in parsed.all("img") if image["src"].startswith("data:image/svg+xml")]
    assert any(
        re.match(r"Line chart of the loss over epochs: training from \d.*validation from", alt) for alt in charts
    )
    assert all(header.get("scope") in ("col", "row", "rowgroup") for header in parsed.all("th"))
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [link["href"].removeprefix("#") for link in parsed.all("a")]
    assert links
    assert set(links) <= set(ids)
    labels = [section["aria-labelledby"] for section in parsed.all("section")]
    assert len(labels) == len(links)
    assert set(labels) <= set(ids)


def test_charts_come_in_a_light_and_a_dark_form(parsed):
    dark = parsed.all("source")
    assert len(dark) == 4  # loss and accuracy of the epochs, loss and learning rate of the steps
    for source in dark:
        assert source["media"] == "(prefers-color-scheme: dark)"
        drawn = base64.b64decode(source["srcset"].partition("base64,")[2])
        assert drawn.startswith(b"<?xml")
        assert not re.search(rb"<script|<image|href=\"[^#]", drawn)


def test_it_says_what_the_run_is(parsed, reported):
    run = reported.found.run
    for text in (
        run.id,
        reported.found.name,
        "FINISHED",
        run.tags["kerasdl.data"],
        f"test accuracy {100 * run.metrics['test_accuracy']:.2f} %",
        f"{int(run.params['parameters']):,} parameters",
        f"python -m kerasdl.evaluate run={run.id}",
        run.tags["kerasdl.config_hash"],
        run.tags["kerasdl.weights"],
        "optimizer.learning_rate",
        "evaluate/test/loss",
    ):
        assert text in parsed.text
    order = ["Confusion matrix", "Mine", "Evaluation", "Robustness", "Explanations", "Export", "Predictions",
             "Other files", "Repeat and resume"]  # fmt: skip
    places = [parsed.texts.index(title) for title in order]
    assert places == sorted(places)


@pytest.mark.parametrize("command", ["python -m kerasdl.train model=mine", None])
def test_what_the_command_that_repeats_it_needs_or_why_there_is_none_is_said(reported, tmp_path, command):
    page = gather(reported.found, read_history(reported.found), tmp_path)
    note = "The source of my_nets.build isn't that of the run."
    changed = dataclasses.replace(page, reproduction=Reproduction(command, False, {}, note))
    assert note in Parsed(html(changed)).text


def test_the_configuration_has_what_was_changed_marked(page, parsed):
    marked = re.findall(
        r'<tr class="changed"><th scope="row">(.*?)</th><td><mark>(.*?)</mark></td><td>(.*?)</td>', page
    )
    assert ("data.batch_size", "32", "64") in marked
    assert ("trainer.epochs", "2", "10") in marked
    assert {"seed", "optimizer.momentum", "data.name"}.isdisjoint(key for key, _, _ in marked)


def test_long_tables_are_cut_and_say_so(parsed):
    assert f"{60 - MAX_ROWS} more rows are in evaluate/test/classes.csv" in parsed.text
    assert "0.142857" in parsed.text
    assert str(1 / 7) not in parsed.text


def test_older_pages_are_not_in_it(page):
    assert "an older page" not in page


def test_a_run_that_was_cut_off_says_how_far_it_came_and_how_to_go_on(reported, tmp_path):
    client = reported.found.client
    experiment = client.get_experiment_by_name("kerasdl").experiment_id
    run_id = client.create_run(experiment, run_name="cut off").info.run_id
    client.log_param(run_id, "trainer.epochs", 10)
    for step in range(3):
        client.log_metric(run_id, "interval/loss", [1.0, float("nan"), float("inf")][step], step=step)
    client.log_metric(run_id, "epoch", 1, step=2)
    client.log_text(run_id, "Traceback: it broke", "error/traceback.txt")
    client.set_terminated(run_id, "FAILED")
    found = lookup.find(place({"paths.output_dir": str(reported.output_dir)}), run_id)
    page = html(gather(found, read_history(found), tmp_path))
    parsed = Parsed(page)
    assert "FAILED after 1 of 10 epochs." in parsed.text
    assert f"python -m kerasdl.train resume={run_id}" in parsed.text
    assert "kerasdl.evaluate" not in parsed.text  # it has no model
    assert "<details open><summary>error/traceback.txt</summary>" in page
    assert "Configuration" not in parsed.texts
    assert len(parsed.all("source")) == 1


def test_the_command_writes_the_page_and_keeps_it_with_the_run(page, reported, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [f"run={reported.id[:12]}", f"paths.output_dir={reported.output_dir}"]
    file = tmp_path / f"report-{reported.id[:8]}.html"
    file.write_text("something else")
    with pytest.raises(SystemExit) as caught:
        report.main(arguments)
    assert caught.value.code == 1
    printed = capsys.readouterr()
    assert printed.err == f"Error: output: '{file.name}' exists. Name another file, or add overwrite=true.\n"
    assert file.read_text() == "something else"
    report.main([*arguments, "overwrite=true"])
    assert capsys.readouterr().out == f"wrote {file.name}\n"
    assert file.read_text(encoding="utf-8") == page  # the same run gives the same page
    assert reported.found.artifacts.fetch("report/report.html", tmp_path).read_text(encoding="utf-8") == page


def test_nothing_is_cut_off_and_long_pictures_are_readable(page, tmp_path, browser, resize):
    from selenium.webdriver.common.by import By

    content = io.BytesIO()
    Image.new("L", (600, 2400)).save(content, format="PNG")
    source = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    tall = f'<figure class="picture"><img id="tall" src="{source}" width="600" height="2400"></figure>'
    (tmp_path / "page.html").write_text(page.replace("<main>", f"<main>{tall}"))
    for width in (400, 800, 1200):
        resize(width)
        browser.get((tmp_path / "page.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        room = browser.find_element(By.TAG_NAME, "main").rect["width"]
        assert browser.find_element(By.ID, "tall").rect["width"] >= min(600, room)
