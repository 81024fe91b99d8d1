"""The commands to use a run with, or to resume it, from the present working directory."""

from kerasdl.config import typed
from kerasdl.tracking.lookup import Found


def commands(found: Found) -> list[tuple[str, str]]:
    """Returns (purpose, command) for what can be done with the run's model; nothing without one."""
    if found.model is None:
        return []
    name = found.run.params.get("data.name", "model").partition(":")[0].replace("/", "-")
    return [
        ("Evaluate it again, or on other data", _on_run(found, "evaluate")),
        ("Classify images", _on_run(found, "predict", input="image.png")),
        ("See where it looks in an image", _on_run(found, "explain", input="image.png")),
        ("Measure its robustness", _on_run(found, "robustness")),
        ("Export it", _on_run(found, "export", format="onnx")),
        ("Register it under a name, to serve it", _on_run(found, "register", name=name, alias="champion")),
        ("Browse it in MLflow", found.store.ui_command()),
    ]


def resume_command(found: Found) -> str:
    """Returns the command that resumes a run; "" if it is finished or seems to be running."""
    return "" if found.run.state in ("FINISHED", "RUNNING") else _on_run(found, "train", "resume")


def _on_run(found: Found, module: str, key: str = "run", **more: str) -> str:
    """Returns a command on the run, from the present working directory."""
    return typed.command(module, {key: found.run.id, **more, **found.store.place()})
