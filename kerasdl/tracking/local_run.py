"""What tracking needs of a run's folder on this machine; `kerasdl.runs.RunFolder` provides it.

A protocol instead of that class, because the room of run folders stands above tracking.
"""

from pathlib import Path
from typing import Any, Protocol


class LocalRecord(Protocol):
    """The fields of `run.json` that tracking reads."""

    @property
    def config(self) -> dict[str, Any]:
        """The whole configuration; of a sweep's folder, `tracking` alone may be there."""

    @property
    def created(self) -> str:
        """Local time, ISO 8601."""

    @property
    def run_id(self) -> str | None:
        """MLflow's run id; None until the run is open there."""

    @property
    def experiment(self) -> str | None:
        """The MLflow experiment's name; None until the run has been started."""


class LocalRun(Protocol):
    """A run's folder."""

    @property
    def name(self) -> str:
        """The folder's name, unique among the runs of an output directory."""

    @property
    def id(self) -> str:
        """MLflow's run id, or the name as long as there is none."""

    @property
    def record(self) -> LocalRecord: ...

    @property
    def tracking(self) -> Path:
        """The folder of the journal."""

    @property
    def tracking_uri(self) -> str | None:
        """The address of the store that has the run, without a password; None until the run has been started."""

    def update(self, **changes: Any) -> None:
        """Changes fields of the record: `run_id`, `tracking_uri`, `experiment`, `status`. Any thread may call this."""

    def lock(self) -> None:
        """Takes the folder for this process; raises ResumeError if another process has it."""

    def unlock(self) -> None:
        """Releases the folder."""
