"""The sweep's own run in MLflow: its trials are its children, and it says what came out of them all.

It is an ordinary tracked run, with a folder and a journal of its own on each machine, so that nothing is lost while a
server is away. Machines that work on one study share the run: the study knows its id.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from kerasdl import tracking
from kerasdl.console import warn
from kerasdl.errors import ResumeError, TrackingError
from kerasdl.runs import FINISHED, RunFolder, folder_named
from kerasdl.sweeps import owner, pictures, table
from kerasdl.sweeps.study import Study
from kerasdl.sweeps.trials import DONE, Objective, Trial, best, label

_ATTRIBUTE = "mlflow_run"
# How long a machine waits for the one that made the study to make its run.
_PATIENCE_SECONDS = 60.0


def folder_of(output_dir: str | Path, name: str, experiment: str) -> RunFolder:
    """Returns a sweep's folder on this machine, new or not; `experiment` is MLflow's, for `kerasdl.sync`."""
    path = Path(output_dir).expanduser().resolve() / "sweeps" / f"{name}@{owner.machine()}"
    if (path / "run.json").exists():
        return RunFolder.open(path)
    config = {
        "tracking": {"experiment": experiment, "run_name": name},
        "paths": {"output_dir": str(path.parent.parent)},
    }
    new = RunFolder.new(output_dir, config, f"sweep {name}")
    return RunFolder(path, new.record)


class Parent:
    """The parent run of a sweep.

    Args:
        master: the sweep's configuration.
        name: of the sweep.
        folder: its folder, locked.
        objectives: what it looks for.
    """

    def __init__(self, master: DictConfig, name: str, folder: RunFolder, objectives: Sequence[Objective]):
        self._config = OmegaConf.create(OmegaConf.to_container(master, resolve=False))
        with open_dict(self._config):
            # As it is now: a key that is swept in the group `tracking` doesn't hold for the sweep itself.
            self._config.tracking.run_name = name
            self._config.tracking.system_metrics = False
        self._name = name
        self._folder = folder
        self._objectives = objectives
        self.tracker = tracking.create(self._config)

    @property
    def run_id(self) -> str | None:
        """MLflow's id of it; None without MLflow. Waits until the run is open, if it is being opened."""
        return self.tracker.run_id or self._folder.record.run_id

    @property
    def is_whole(self) -> bool:
        """Whether it has all that came out of the trials so far."""
        return self._folder.record.status == FINISHED

    @property
    def logs(self) -> Path:
        """The folder of what trials print."""
        return self._folder.path / "logs"

    def begin(self, study: Study, params: Mapping[str, Any], config_yaml: str) -> None:
        """Begins the run, or goes on with it.

        Args:
            study: knows the run's id, if it has one by now.
            params: what describes the sweep; kept by who makes the run.
            config_yaml: the sweep's whole configuration.

        Raises:
            TrackingError: it can't be opened.
        """
        known = study.attribute(_ATTRIBUTE) or self._folder.record.run_id
        if known is None and study.is_made_by_another() and self._config.tracking.backend != "none":
            known = _wait_for(lambda: study.attribute(_ATTRIBUTE), _PATIENCE_SECONDS)
        if known is not None and self._folder.record.run_id is None:
            self._folder.update(run_id=known)
        tags = {
            "kerasdl.kind": "sweep",
            "kerasdl.sweep": self._name,
            "kerasdl.metric": ",".join(goal.metric for goal in self._objectives),
            "kerasdl.direction": ",".join("maximize" if goal.maximize else "minimize" for goal in self._objectives),
        }
        self.tracker.start(
            self._folder,
            config_yaml=config_yaml,
            params={} if known else dict(params),
            tags=tags,
            resumed_at=0 if known else None,
        )
        self._folder.update(status="RUNNING")
        if study.attribute(_ATTRIBUTE) is None and self.run_id:
            study.set_attribute(_ATTRIBUTE, self.run_id)

    def progress(self, trials: Sequence[Trial]) -> None:
        """Keeps the best values so far, as of the number of trials that are done."""
        done = sum(trial.state in DONE for trial in trials)
        if len(self._objectives) == 1 and (found := best(trials, self._objectives)) and found[0].values:
            self.tracker.metrics({f"best_{self._objectives[0].metric}": found[0].values[0]}, done)
        self.tracker.metrics({"trials_done": done}, done)

    def end_child(self, folder: str, status: str, trace: str) -> None:
        """Ends the run of a trial whose process couldn't do it any more."""
        child = folder_named(self._config.paths.output_dir, folder)
        if child is None or self._config.tracking.backend == "none":
            return
        from kerasdl.tracking.backlog import end_dead_run

        try:
            end_dead_run(child, tracking.locate(self._config), status, trace)
        except (TrackingError, ResumeError) as error:
            warn(str(error))

    def conclude(self, trials: Sequence[Trial], status: str) -> list[str]:
        """Keeps what came out, with pictures, and ends the run; returns what couldn't be kept, a line each."""
        found = best(trials, self._objectives)
        self.tracker.text(table.csv_text(trials, self._objectives), "trials.csv")
        for name, figure in pictures.figures(trials, self._objectives).items():
            self.tracker.figure(figure, name)
        problems = []
        if found:
            self.tracker.tags(
                {
                    "kerasdl.best_trial": ",".join(str(trial.number) for trial in found),
                    "kerasdl.best_run": ",".join(trial.run_id or "-" for trial in found),
                    "kerasdl.best": label(found[0].overrides),
                }
            )
            if len(found) == 1:
                done = sum(trial.state in DONE for trial in trials)
                self.tracker.metrics({f"best_{key}": value for key, value in found[0].metrics.items()}, done)
                problems += self._register(found[0])
        try:
            self.tracker.finish(status)
        except TrackingError as error:
            problems.append(str(error))
        self._folder.update(status=status)
        return problems

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
