"""What is known of a run, as rows of text: its summary, its main numbers, its environment and its configuration."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from omegaconf import DictConfig, OmegaConf

from kerasdl.config.metrics import PREFERRED, direction
from kerasdl.console import duration
from kerasdl.tracking.history import RunHistory
from kerasdl.tracking.lookup import Found

Rows = list[tuple[str, str]]

_SHARES = ("accuracy", "precision", "recall", "f1")
# What decides bits and speed; the page lists these by name, and all packages in a fold.
_PACKAGES = ("kerasdl", "tensorflow", "keras", "numpy", "tensorflow-datasets", "mlflow", "hydra-core")


def progress(found: Found) -> str:
    """Returns how far a run came that isn't finished."""
    run = found.run
    if run.state == "FINISHED":
        return ""
    epochs = int(run.metrics.get("epoch", 0))
    return f"{run.state} after {epochs} of {run.params.get('trainer.epochs', '?')} epochs"


def summary(found: Found, history: RunHistory) -> Rows:
    """Returns (what, text): the lines below the page's heading."""
    run = found.run
    model = run.params.get("model._target_", "").removesuffix(".build").rpartition(".")[2]
    parameters = run.params.get("parameters", "")
    if parameters.isdigit():
        model += f", {int(parameters):,} parameters"
    rows = {
        "Experiment": history.experiment,
        "Sweep": run.tags.get("kerasdl.sweep", ""),
        "Data": run.tags.get("kerasdl.data", ""),
        "Model": model,
        "Test": _test(found),
        "Began": _time(history.started),
        "Took": duration((history.ended - history.started) / 1000) if history.ended else "",
        "Note": run.tags.get("mlflow.note.content", ""),
    }
    return [(name, text) for name, text in rows.items() if text]


def _test(found: Found) -> str:
    metrics = found.run.metrics
    names = _in_order(name for name in metrics if name.startswith("test_"))
    return ", ".join(f"{name[5:].replace('_', ' ')} {_number(name, metrics[name])}" for name in names)


def numbers(found: Found, history: RunHistory) -> Rows:
    """Returns (what, number): the test's, the best of the validation's, time and speed."""
    run, rows = found.run, []
    for name in _in_order(name for name in run.metrics if name.startswith("test_")):
        rows.append((name.replace("_", " "), _number(name, run.metrics[name])))
    for name in _in_order(name for name in history.histories if name.startswith("val_")):
        points = [point for point in history.histories[name] if not math.isnan(point[1])]
        if points and (way := direction(name)):  # which value of another metric is best isn't known
            best = (max if way == "maximize" else min)(points, key=lambda point: point[1])
            at = _epoch(best[0], history)
            rows.append((f"best {name.replace('_', ' ')}{at}", _number(name, best[1])))
    if seconds := history.histories.get("seconds"):
        rows.append(("training", duration(sum(value for _, value in seconds))))
    speed = "examples_per_second" if "examples_per_second" in history.histories else "images_per_second"  # as it was
    if speeds := history.histories.get(speed):
        middle = sorted(value for _, value in speeds)[len(speeds) // 2]
        rows.append(("examples per second", f"{middle:,.0f}"))
    return rows


def _in_order(names: Iterable[str]) -> list[str]:
    """Returns metrics with those first that decide between runs, and the others by name."""
    return sorted(names, key=lambda name: (PREFERRED.index(name) if name in PREFERRED else len(PREFERRED), name))


def _epoch(step: int, history: RunHistory) -> str:
    epochs = dict(history.histories.get("epoch", ()))
    return f", epoch {epochs[step]:g}" if step in epochs else f", step {step}"


def _number(name: str, value: float) -> str:
    if name.endswith(_SHARES) and 0 <= value <= 1:
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def environment(found: Found, history: RunHistory, packages: str, has_diff: bool) -> Rows:
    """Returns (what, text): code, packages, machine and data.

    Args:
        found: the run.
        history: of the run.
        packages: its `requirements.txt`.
        has_diff: whether its uncommitted changes are kept.
    """
    run = found.run
    tags, params = run.tags, run.params
    versions = dict(line.split("==", 1) for line in packages.splitlines() if "==" in line)
    commit = tags.get("mlflow.source.git.commit", "")
    if commit and tags.get("git.dirty") == "true":
        commit += ", with uncommitted changes" + (" (below)" if has_diff else "")
    data = "; ".join(f"{item.name} {item.version} ({item.digest})".replace("  ", " ") for item in history.datasets)
    rows = {
        "Command": tags.get("command", ""),
        "Git commit": commit,
        "Python": tags.get("python", ""),
        **{name: versions[name] for name in _PACKAGES if name in versions},
        "Device": params.get("device", ""),
        "Deterministic": params.get("deterministic", "").lower(),
        "Processor": f"{tags['cpu']}, {tags.get('cpu_count', '?')} cores" if "cpu" in tags else "",
        "System": tags.get("platform", ""),
        "Machine": tags.get("host", ""),
        "User": tags.get("mlflow.user", ""),
        "Data (fingerprint)": data,
        "Weights (fingerprint)": tags.get("kerasdl.weights", ""),
        "Configuration (hash)": tags.get("kerasdl.config_hash", ""),
        "Continued": tags.get("kerasdl.resumed", ""),
        "MLflow": found.store.address,
    }
    return [(name, text) for name, text in rows.items() if text]


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Setting:
    """A key of the configuration: its value, and what the chosen files say if that is another (None if it is not)."""

    key: str
    value: str
    default: str | None


def settings(config: DictConfig, defaults: Mapping[str, str]) -> dict[str, list[Setting]]:
    """Returns the configuration by group; keys that are in none are in "general".

    Args:
        config: of the run.
        defaults: for keys that differ from what the chosen files say: that (`Reproduction.defaults`).
    """
    groups: dict[str, list[Setting]] = {}
    for name in config:
        node = config[name]
        rows = _rows(OmegaConf.to_container(node) if OmegaConf.is_config(node) else node, str(name))
        title = str(name) if OmegaConf.is_config(node) else "general"
        for key, value in rows:
            default = next((old for changed, old in defaults.items() if _is_below(key, changed)), None)
            groups.setdefault(title, []).append(Setting(key, value, default))
    groups.pop("sweep", None)  # a run doesn't depend on how it was found
    return groups


def _rows(node: object, key: str) -> list[tuple[str, str]]:
    if isinstance(node, dict) and node:
        return [row for name, value in node.items() for row in _rows(value, f"{key}.{name}")]
    return [(key, "null" if node is None else str(node).lower() if isinstance(node, bool) else str(node))]


def _is_below(key: str, ancestor: str) -> bool:
    return key == ancestor or key.startswith(f"{ancestor}.")
