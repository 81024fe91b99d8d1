"""The tracker of a run that isn't tracked: the same calls, no effect, no MLflow."""

from typing import Any


class NoTracker:
    """Takes what `MlflowTracker` takes and does nothing."""

    run_id: str | None = None

    def check(self) -> None:
        """Nothing can go wrong."""

    def start(self, *, config_yaml: str, params: dict[str, Any], tags: dict[str, str]) -> None:
        """Does nothing."""

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Does nothing."""

    def params(self, params: dict[str, Any]) -> None:
        """Does nothing."""

    def tags(self, tags: dict[str, Any]) -> None:
        """Does nothing."""

    def text(self, text: str, artifact_path: str) -> None:
        """Does nothing."""

    def figure(self, figure: Any, artifact_path: str) -> None:
        """Does nothing."""

    def file(self, path: Any, artifact_folder: str | None = None) -> None:
        """Does nothing."""

    def dataset(self, *, name: str, version: str, digest: str, source: str, context: str) -> None:
        """Does nothing."""

    def model(self, model: Any, example: Any) -> None:
        """Does nothing."""

    def finish(self, status: str, error: str | None = None) -> None:
        """Does nothing."""

    def describe(self) -> str:
        """Returns that nothing is kept."""
        return "nowhere (tracking=none)"

    def ui_command(self) -> str:
        """Returns how to get a UI."""
        return "none: run with tracking=mlflow"
