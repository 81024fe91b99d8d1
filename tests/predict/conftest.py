"""`python -m kerasdl.predict` in this process."""

import pytest


@pytest.fixture
def predict_with(capsysbinary):
    """Returns a function from a run to one that runs the command: (exit code, standard output, standard error)."""
    from kerasdl.predict.__main__ import main

    def on(run):
        def predict(*arguments, log="false"):
            code = 0
            try:
                main([f"run={run.id}", f"paths.output_dir={run.output_dir}", f"log={log}", *arguments])
            except SystemExit as exit:
                code = exit.code
            out, err = capsysbinary.readouterr()
            return code, out, err.decode()

        return predict

    return on
