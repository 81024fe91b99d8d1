"""The notebooks run from top to bottom, with the real MNIST, and say what their text promises."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"


@pytest.fixture
def executed(tmp_path, monkeypatch, used_store):
    """Runs a copy of a notebook in a folder of its own and returns what it printed."""
    # Cells call `python -m kerasdl...`, as in an activated environment.
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    (tmp_path / "notebooks").mkdir()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def execute(name):
        notebook = nbformat.read(shutil.copy(FOLDER / name, tmp_path / "notebooks"), as_version=4)
        client = NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path / "notebooks")}})
        client.execute()
        outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        pictures = sum("image/png" in output.get("data", {}) for output in outputs)
        return "".join(output.text for output in outputs if output.output_type == "stream"), pictures

    yield execute
    for number, handler in handlers.items():  # nbclient takes them over
        signal.signal(number, handler)


def test_the_first_experiment(executed):
    text, pictures = executed("1_first_experiment.ipynb")
    assert float(re.search(r"test accuracy ([\d.]+) %", text)[1]) > 94
    assert "equal to the bit to those at the end of training" in text
    assert pictures == 2


@pytest.mark.slow  # tests/sweeps, tests/test_report.py
def test_a_sweep_and_its_report(executed):
    text, pictures = executed("2_sweep_and_report.ipynb")
    assert text.count("6 trials, 6 finished") == 2
    assert "Row 1 against row 2 over the 3 seeds that both have" in text
    assert pictures == 1


@pytest.mark.slow  # tests/attribution, tests/attacks, tests/test_export.py
def test_looking_inside_a_network(executed):
    text, pictures = executed("3_inside_a_network.ipynb")
    clean, attacked = (float(re.search(rf"{name} +accuracy ([\d.]+)%", text)[1]) for name in ("clean", "attacked"))
    assert clean - attacked > 40
    assert "model card: README.md" in text
    assert pictures == 4


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.name)
def test_what_is_kept_of_it_is_a_run_without_errors_from_nobodys_machine(path):
    notebook = nbformat.read(path, as_version=4)
    numbers = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert numbers == list(range(1, len(numbers) + 1))
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)
    assert path.stat().st_size < 600_000
