"""The tracker of a run that isn't tracked: the same calls, without effect and without MLflow."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasdl.tracking.local_run import LocalRun


class NoTracker:
    """Has the methods of `MlflowTracker`, which do nothing."""

    run_id: str | None = None

    def __init__(self) -> None:
        self.attempt = 0

    def check(self, run_id: str | None = None) -> None:
        """Does nothing."""

    def start(
        self,
        folder: LocalRun,
        *,
        config_yaml: str,
        params: dict[str, Any],
        tags: dict[str, str],
        resumed_at: int | None = None,
    ) -> None:
        """Does nothing."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Does nothing."""

    def end_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Does nothing."""

    def series(self, key: str, first_step: int, values: Sequence[float]) -> None:
        """Does nothing."""

    def params(self, params: Mapping[str, Any]) -> None:
        """Does nothing."""

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Does nothing."""

    def text(self, text: str, artifact_path: str) -> None:
        """Does nothing."""

    def figure(self, figure: Any, artifact_path: str) -> None:
        """Does nothing."""

    def file(self, path: Any, artifact_folder: str | None = None) -> None:
        """Does nothing."""

    def dataset(self, *, name: str, version: str, digest: str, source: str, context: str) -> None:
        """Does nothing."""

    def model(self, model: Any, example: Any, step: int, metadata: Any = None) -> None:
        """Does nothing."""

    def sync(self) -> None:
        """Does nothing."""

    def finish(self, status: str, error: str | None = None, patience: float = 0.0) -> None:
        """Does nothing."""

    def describe(self) -> str:
        """Returns that results go nowhere."""
        return "nowhere (tracking=none)"

    def ui_command(self) -> str:
        """Returns what to do to get a UI."""
        return "none: run with tracking=mlflow"
