"""The sweep's own run in MLflow: the parent of its trials' runs, with the results of all of them.

It is an ordinary tracked run, with a folder and a journal of its own on each machine, so that nothing is lost while a
server can't be reached. Machines that work on one study share the run: the study keeps its id.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from kerasdl import tracking
from kerasdl.errors import TrackingError
from kerasdl.runs import FINISHED, RunFolder
from kerasdl.sweeps import liveness
from kerasdl.sweeps.pictures import drawing
from kerasdl.sweeps.results import best, csv_text
from kerasdl.sweeps.settings import params_of, without_secrets
from kerasdl.sweeps.space import Space
from kerasdl.sweeps.study import Study
from kerasdl.sweeps.trials import DONE, Objective, Trial, label

_ATTRIBUTE = "mlflow_run"
# How long a machine waits for the one that created the study to create the run.
_PATIENCE_SECONDS = 60.0


def folder_of(output_dir: str | Path, name: str, experiment: str) -> RunFolder:
    """Returns a sweep's folder on this machine, which may not exist yet; `kerasdl.sync` needs MLflow's `experiment`."""
    path = Path(output_dir).expanduser().resolve() / "sweeps" / f"{name}@{liveness.machine()}"
    if (path / "run.json").exists():
        return RunFolder.open(path)
    config = {
        "tracking": {"experiment": experiment, "run_name": name},
        "paths": {"output_dir": str(path.parent.parent)},
    }
    new = RunFolder.new(output_dir, config, f"sweep {name}")
    return RunFolder(path, new.record)


class ParentRun:
    """The parent run of a sweep.

    Args:
        config: the sweep's configuration.
        name: of the sweep.
        folder: its folder, locked.
        objectives: what it optimises.
    """

    def __init__(self, config: DictConfig, name: str, folder: RunFolder, objectives: Sequence[Objective]):
        self._config = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
        with open_dict(self._config):
            # Trials set these keys for themselves.
            self._config.tracking.run_name = name
            self._config.tracking.system_metrics = False
        self._sweep = config
        self._name = name
        self._folder = folder
        self._objectives = objectives
        self.tracker = tracking.create(self._config)

    @property
    def run_id(self) -> str | None:
        """Its id in MLflow; None without MLflow. If the run is being opened, waits until it is open."""
        return self.tracker.run_id or self._folder.record.run_id

    @property
    def is_complete(self) -> bool:
        """Whether it has the results of all trials so far."""
        return self._folder.record.status == FINISHED

    @property
    def logs(self) -> Path:
        """The folder of the trials' output."""
        return self._folder.path / "logs"

    def start(self, study: Study, space: Space) -> None:
        """Starts the run, or resumes it.

        Args:
            study: keeps the run's id, once there is one.
            space: what the sweep searches; part of the run's params, which the machine that creates the run sends.

        Raises:
            TrackingError: the run can't be opened.
        """
        known = study.attribute(_ATTRIBUTE) or self._folder.record.run_id
        if known is None and study.was_created_by_another() and self._config.tracking.backend != "none":
            known = _wait_for(lambda: study.attribute(_ATTRIBUTE), _PATIENCE_SECONDS)
        if known is not None and self._folder.record.run_id is None:
            self._folder.update(run_id=known)
        self.tracker.start(
            self._folder,
            config_yaml=OmegaConf.to_yaml(without_secrets(self._sweep)),
            params={} if known else params_of(self._sweep, space),
            tags={
                "kerasdl.kind": "sweep",
                "kerasdl.sweep": self._name,
                "kerasdl.metric": ",".join(objective.metric for objective in self._objectives),
                "kerasdl.direction": ",".join(objective.direction for objective in self._objectives),
            },
            resumed_at=0 if known else None,
        )
        self._folder.update(status="RUNNING")
        if study.attribute(_ATTRIBUTE) is None and self.run_id:
            study.set_attribute(_ATTRIBUTE, self.run_id)

    def log_progress(self, trials: Sequence[Trial]) -> None:
        """Logs the best values so far, with the number of trials that are done as the step."""
        done = sum(trial.state in DONE for trial in trials)
        if len(self._objectives) == 1 and (found := best(trials, self._objectives)) and found[0].values:
            self.tracker.metrics({f"best_{self._objectives[0].metric}": found[0].values[0]}, done)
        self.tracker.metrics({"trials_done": done}, done)

    def finish(self, trials: Sequence[Trial], status: str) -> list[str]:
        """Logs the results, with pictures, and ends the run; returns what couldn't be kept, a line each."""
        problems = self._log_results(trials) if self._config.tracking.backend != "none" else []
        try:
            self.tracker.finish(status)
        except TrackingError as error:
            problems.append(str(error))
        self._folder.update(status=status)
        return problems

    def _log_results(self, trials: Sequence[Trial]) -> list[str]:
        self.tracker.text(csv_text(trials, self._objectives), "trials.csv")
        for name, figure in drawing.figures(trials, self._objectives).items():
            self.tracker.figure(figure, name)
        found = best(trials, self._objectives)
        if not found:
            return []
        self.tracker.tags(
            {
                "kerasdl.best_trial": ",".join(str(trial.number) for trial in found),
                "kerasdl.best_run": ",".join(trial.run_id or "-" for trial in found),
                "kerasdl.best": label(found[0].overrides),
            }
        )
        if len(found) > 1:
            return []
        done = sum(trial.state in DONE for trial in trials)
        self.tracker.metrics({f"best_{key}": value for key, value in found[0].metrics.items()}, done)
        return self._register(found[0])

    def _register(self, trial: Trial) -> list[str]:
        if trial.run_id is None or self.run_id is None:
            return []
        from kerasdl.tracking.registry import register_best

        try:
            if model := register_best(tracking.locate(self._config), self._name, trial.run_id):
                self.tracker.tags({"kerasdl.best_model": model})
        except TrackingError as error:
            return [str(error)]
        return []


def _wait_for(condition: Callable[[], Any], patience: float) -> Any:
    """Returns what `condition` gives as soon as that isn't None, or None after `patience` seconds."""
    deadline = time.monotonic() + patience
    while (found := condition()) is None and time.monotonic() < deadline:
        time.sleep(0.5)
    return found
