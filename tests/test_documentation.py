"""What a reader of the documentation types exists, and what a reader clicks on leads somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from kerasdl import compose

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ROOMS = sorted((ROOT / "kerasdl").glob("*/README.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", *ROOMS]
HYDRA_FLAGS = ("-m", "--help", "--cfg", "job")
COMMAND = re.compile(r"python -m kerasdl\.(\w+)((?: [^`#\n|]+)?)")


def name_of(page):
    return str(page.relative_to(ROOT))


def anchors(page):
    """Returns the anchors that GitHub gives the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page):
    """Yields (module, arguments) for each `python -m kerasdl.<module> ...` that a page shows."""
    text = re.sub(r"(`[^`\n]*)\n([^`\n]*`)", r"\1 \2", page.read_text())  # a span of code may be broken over two lines
    for module, rest in COMMAND.findall(text):
        arguments = [word for word in shlex.split(rest) if word not in (".", "...")]
        yield module, arguments


SHOWN = sorted({(name_of(page), module, *arguments) for page in PAGES for module, arguments in commands(page)})
TRAINING = [shown[2:] for shown in SHOWN if shown[1] in ("train", "preview")]
OTHERS = sorted({module for _, module, *_ in SHOWN} - {"train", "preview"})


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 350


def test_the_contents_name_every_section():
    text = README.read_text()
    contents = text.partition("## Contents")[2].partition("\n## ")[0]
    headings = re.findall(r"^##+ (.+)$", text.partition("## Contents")[2], flags=re.MULTILINE)
    missing = [heading for heading in headings if f"](#{heading.lower().replace(' ', '-')})" not in contents]
    assert headings
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    text = page.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    broken = []
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("words", TRAINING, ids=" ".join)
def test_every_training_that_is_shown_composes(words, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: my_package.build\nwidth: 64\n")
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text("_target_: my_package.Ordinal\nweight: 0.5\n")
    overrides = []
    for word in words:
        if word == "--config-dir":
            overrides.append(f"hydra.searchpath=[file://{tmp_path}]")
        # Runs that a reader has, and the values that an argument of prose stands for, are nobody's here.
        elif word not in HYDRA_FLAGS and word != "my_conf" and not re.match(r"resume=(?!auto)", word):
            [override] = OverridesParser.create().parse_overrides([word])
            values = next(override.sweep_string_iterator()) if override.is_sweep_override() else None
            overrides.append(word if values is None else f"{override.get_key_element()}={values}")
    compose(overrides)


@pytest.mark.parametrize("module", OTHERS)
def test_every_key_of_a_command_that_is_shown_is_in_its_help(module):
    shown = subprocess.run(
        [sys.executable, "-m", f"kerasdl.{module}", "--help"], capture_output=True, text=True, check=True
    ).stdout
    words = [word for _, name, *arguments in SHOWN if name == module for word in arguments]
    keys = {word.partition("=")[0] for word in words if "=" in word}
    flags = {word for word in words if word.startswith("--")}
    keys = {key if not key.startswith("data.") else "data" for key in keys}
    assert {key for key in keys if f"{key}=" not in shown} == set()
    assert {flag for flag in flags if flag not in shown} == set()
