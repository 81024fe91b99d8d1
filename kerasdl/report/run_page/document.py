"""Writes a run's page: `page.html.j2` and `page.css` filled with what was gathered.

Everything is escaped, since names and tags come from outside, and the page forbids itself scripts and any loading.
"""

import base64

from jinja2 import Environment, PackageLoader, StrictUndefined

from kerasdl import __version__
from kerasdl.report.run_page.charts import Chart
from kerasdl.report.run_page.gathering import Page


def html(page: Page) -> str:
    """Returns the page as one self-contained HTML document."""
    environment = Environment(
        loader=PackageLoader("kerasdl.report.run_page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["svg_uri"] = _svg_uri
    template = environment.get_template("page.html.j2")
    return template.render(page=page, contents=_contents(page), version=__version__)


def number(value: float) -> str:
    """Returns a metric's value: six significant digits, whole numbers with thousands apart."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def _svg_uri(chart: Chart, form: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(getattr(chart, form).encode()).decode()}"


def _contents(page: Page) -> list[tuple[str, str]]:
    """Returns (anchor, title) of the parts that the page has."""
    parts = [
        ("numbers", "Key numbers", page.numbers),
        ("curves", "Learning curves", page.epochs or page.curves),
        ("steps", "Steps", page.steps),
        *((f"picture-{i}", picture.alt, True) for i, picture in enumerate(page.pictures)),
        *((f"section-{i}", section.title, True) for i, section in enumerate(page.sections)),
        ("reproduce", "Repeat and resume", page.reproduction or page.commands or page.resume),
        ("configuration", "Configuration", page.settings or page.config_yaml),
        ("environment", "Environment", page.environment),
        ("metrics", "All metrics", page.metrics or page.system),
        ("files", "Files", page.files),
    ]
    return [(anchor, title) for anchor, title, there in parts if there]
