"""The journal's entries: one function builds each kind, and a few read them.

An entry is a dict that JSON can hold, with its `kind`; times are milliseconds since 1970, taken when it happened. An
entry names a file by its path: in the spool, or where the user has it.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Point = tuple[str, float, int, int]  # key, value, timestamp in ms, step
Entry = dict[str, Any]

POINTS = ("metrics", "system", "series")
RESUMED = "kerasdl.resumed"  # tag: how often the run has been resumed
ROLLBACKS = "rollbacks"  # metric: the number of an attempt, at the step at which it began


def now_ms() -> int:
    """Returns the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def metrics(
    values: Iterable[tuple[str, float]], step: int, attempt: int, *, final: bool = False, after: int = 0
) -> Entry:
    """Values of several metrics at one training step.

    Args:
        values: (metric, value).
        step: the training step.
        attempt: the number of rollbacks so far.
        final: whether they were measured at the end of the run, in addition to those of its last epoch.
        after: a time, in ms; the values get a later one, even if the clock was set back.
    """
    timestamp = max(now_ms(), after + 1)
    entry = {"kind": "metrics", "points": [[key, value, timestamp, step] for key, value in values], "attempt": attempt}
    return entry | {"of_end": True} if final else entry


def system_metrics(values: Mapping[str, float], sample: int) -> Entry:
    """One sample of the system's metrics; their step is the number of the sample, not a training step."""
    timestamp = now_ms()
    return {"kind": "system", "points": [[key, float(value), timestamp, sample] for key, value in values.items()]}


def series(key: str, first_step: int, values: Sequence[float], attempt: int) -> Entry:
    """One metric at consecutive training steps."""
    return {
        "kind": "series",
        "key": key,
        "first_step": first_step,
        "values": list(values),
        "timestamp": now_ms(),
        "attempt": attempt,
    }


def params(values: Mapping[str, str]) -> Entry:
    return {"kind": "params", "values": dict(values)}


def tags(values: Mapping[str, str]) -> Entry:
    return {"kind": "tags", "values": dict(values)}


def artifact(path: Path, folder: str | None, spooled: bool) -> Entry:
    """A file or folder for the artifact folder `folder`; `spooled` if it is in the spool and deleted once sent."""
    return {"kind": "artifact", "path": str(path), "folder": folder, "spooled": spooled}


def dataset(name: str, version: str, digest: str, source: str, context: str) -> Entry:
    return {
        "kind": "dataset",
        "name": name,
        "version": version,
        "digest": digest,
        "source": source,
        "context": context,
    }


def model(folder: Path, step: int) -> Entry:
    """A model in MLflow's format, in a folder of the spool, as of training step `step`."""
    return {"kind": "model", "path": str(folder), "step": step, "spooled": True}


def resumption() -> Entry:
    """The run has been resumed."""
    return {"kind": "resumption"}


def end(status: str) -> Entry:
    """The run has just ended, as `FINISHED`, `FAILED` or `KILLED`."""
    return {"kind": "end", "status": status, "time": now_ms()}


def points(entry: Entry) -> list[Point]:
    """Returns the metric points of an entry; none if it is of another kind."""
    if entry["kind"] == "series":
        key, timestamp = entry["key"], entry["timestamp"]
        return [(key, value, timestamp, step) for step, value in enumerate(entry["values"], entry["first_step"])]
    return [tuple(point) for point in entry["points"]] if entry["kind"] in POINTS else []


def has_file(entry: Entry) -> bool:
    """Returns whether the entry is about files, which MLflow keeps apart from the rest of a run."""
    return entry["kind"] in ("artifact", "model")


def name(entry: Entry) -> str:
    """Returns what the entry is, in a phrase for the user."""
    match entry["kind"]:
        case "params" | "tags" as kind:
            return f"{kind} {next(iter(entry['values']), '')} ..."
        case "artifact":
            folder = f"{entry['folder']}/" if entry["folder"] else ""
            return f"{folder}{Path(entry['path']).name}" if entry["spooled"] else entry["path"]
        case "dataset":
            return f"data set {entry['name']}"
        case "model":
            return "the model"
        case "resumption":
            return "that the run was resumed"
        case "end":
            return "the end of the run"
    return "metrics"
