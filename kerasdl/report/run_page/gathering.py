"""Reads everything that a run's page shows from MLflow, once, into a `Page`.

Its layout is the template, `page.html.j2`.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kerasdl.config.renames import rename_targets
from kerasdl.config.source import recorded_sources
from kerasdl.report.run_page.attachments import CURVES, MAX_TEXT, Attachments, Picture, Section, Text
from kerasdl.report.run_page.charts import Chart, epoch_charts, step_charts
from kerasdl.report.run_page.facts import Setting, environment, numbers, progress, settings, summary
from kerasdl.report.run_page.next_steps import commands, resume_command
from kerasdl.report.run_page.reproduction import Reproduction, reproduce
from kerasdl.tracking.history import RunHistory
from kerasdl.tracking.lookup import Found


@dataclass(frozen=True)
class Page:
    """What is shown of a run; each part is left out where it is empty.

    Attributes:
        name: what MLflow shows for the run.
        id: MLflow's run id.
        state: `FINISHED`, `FAILED`, `KILLED`, `RUNNING` or `PRUNED`.
        progress: how far a run came that isn't finished.
        summary: (what, text) lines below the heading.
        numbers: the main numbers, as (what, number).
        epochs: charts of the epochs.
        steps: charts of the steps.
        curves: the run's own picture of its curves, if there are no charts.
        pictures: what the task wanted seen of the test split: a confusion matrix, residuals, ...
        sections: results of commands.
        metrics: (name, value, step) of all metrics but the system's.
        system: (name, value) of the system's.
        settings: the configuration by group.
        config_yaml: the configuration as a file.
        reproduction: how to repeat the run; None if its configuration is unknown.
        resume: the command that continues it, if it isn't finished.
        environment: (what, text).
        texts: folded: the uncommitted difference, the installed packages.
        commands: (purpose, command).
        files: paths of all files of the run.
    """

    name: str
    id: str
    state: str
    progress: str
    summary: Sequence[tuple[str, str]]
    numbers: Sequence[tuple[str, str]]
    epochs: Sequence[Chart]
    steps: Sequence[Chart]
    curves: Picture | None
    pictures: Sequence[Picture]
    sections: Sequence[Section]
    metrics: Sequence[tuple[str, float, int]]
    system: Sequence[tuple[str, float]]
    settings: Mapping[str, Sequence[Setting]]
    config_yaml: str
    reproduction: Reproduction | None
    resume: str
    environment: Sequence[tuple[str, str]]
    texts: Sequence[Text]
    commands: Sequence[tuple[str, str]]
    files: Sequence[str]


def gather(found: Found, history: RunHistory, folder: Path) -> Page:
    """Reads a run.

    Args:
        found: the run.
        history: of the run.
        folder: for files that have to be fetched.

    Raises:
        TrackingError: the store can't be read.
    """
    run, attachments = found.run, Attachments(found.artifacts, folder)
    tags, metrics = run.tags, run.metrics
    config_yaml = attachments.text("config.yaml") or ""
    config = _configuration(config_yaml)
    typed = tags.get("command", "")
    expected, sources = tags.get("kerasdl.config_hash", ""), recorded_sources(run.params)
    reproduction = reproduce(config, expected, typed, sources) if config else None
    epochs = epoch_charts(history.histories)
    own = {name: value for name, value in metrics.items() if not name.startswith("system/")}
    pictures = attachments.task_pictures()
    sections = attachments.sections(metrics, {picture.path for picture in pictures})
    packages = attachments.text("requirements.txt") or ""
    return Page(
        name=found.name or run.id,
        id=run.id,
        state=run.state,
        progress=progress(found),
        summary=summary(found, history),
        numbers=numbers(found, history),
        epochs=epochs,
        steps=_step_charts(attachments.text("steps.csv"), history),
        curves=None if epochs else attachments.picture(CURVES, "Learning curves"),
        pictures=pictures,
        sections=sections,
        metrics=[(name, own[name], history.histories.get(name, [(0, 0.0)])[-1][0]) for name in sorted(own)],
        system=sorted((name, value) for name, value in metrics.items() if name.startswith("system/")),
        settings=settings(config, reproduction.defaults) if config and reproduction else {},
        config_yaml=config_yaml,
        reproduction=reproduction,
        resume=resume_command(found),
        environment=environment(found, history, packages, "git.diff" in attachments.paths),
        texts=[
            Text(title, text[:MAX_TEXT], max(0, len(text) - MAX_TEXT))
            for title, text in (("git.diff", attachments.text("git.diff")), ("requirements.txt", packages))
            if text
        ],
        commands=commands(found),
        files=attachments.paths,
    )


def _configuration(text: str) -> DictConfig | None:
    """Returns a run's configuration; None if it isn't one, as of a run that something else has logged."""
    try:
        config = OmegaConf.create(text) if text else None
    except (YAMLError, OmegaConfBaseException):
        return None
    groups = ("model", "data", "task", "optimizer", "schedule", "trainer", "callbacks")
    whole = isinstance(config, DictConfig) and all(isinstance(config.get(group), DictConfig) for group in groups)
    if not whole or "seed" not in config:  # type: ignore[operator]
        return None
    rename_targets(config)  # type: ignore[arg-type]
    return config  # type: ignore[return-value]


def _step_charts(steps_csv: str | None, history: RunHistory) -> list[Chart]:
    """Returns charts of every step, from the run's own table, or of the intervals where a run failed without one."""
    if steps_csv:
        try:
            rows = list(csv.DictReader(io.StringIO(steps_csv)))
            losses = [(int(row["step"]), float(row["loss"])) for row in rows]
            return step_charts(losses, [(int(row["step"]), float(row["learning_rate"])) for row in rows])
        except (KeyError, TypeError, ValueError):
            pass  # not a table of kerasdl: MLflow's metrics show nearly as much
    return step_charts(history.histories.get("interval/loss", ()), history.histories.get("learning_rate", ()))
