"""`python -m kerasdl.evaluate` in this process, and what MLflow has of it."""

import pytest


class Evaluate:
    """The command on a run."""

    def __init__(self, run, capsys):
        self._run = run
        self._capsys = capsys

    def __call__(self, *arguments):
        from kerasdl.evaluate.__main__ import main

        main([f"run={self._run.id}", f"paths.output_dir={self._run.output_dir}", *arguments])
        return self._capsys.readouterr().out

    def failing(self, *arguments):
        """Returns the exit code and what stderr says."""
        with pytest.raises(SystemExit) as error:
            self(*arguments)
        return error.value.code, self._capsys.readouterr().err


@pytest.fixture
def evaluate_with(capsys):
    return lambda run: Evaluate(run, capsys)


@pytest.fixture
def kept_with():
    """Reads what MLflow has of a run, under a folder: the run, metrics, and files by name."""
    from kerasdl.config.composition import place
    from kerasdl.tracking import lookup

    def on(run):
        def read(folder, temporary):
            found = lookup.find(place({"paths.output_dir": str(run.output_dir)}), run.id)
            metrics = {name: value for name, value in found.run.metrics.items() if name.startswith(folder)}
            names = [name for name in found.artifacts.list() if name.startswith(f"{folder}/")]
            files = {name.removeprefix(f"{folder}/"): found.artifacts.fetch(name, temporary) for name in names}
            return found.run, metrics, files

        return read

    return on
