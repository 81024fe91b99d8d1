"""The commands to use a run with, or to resume it, from the present working directory."""

from kerasdl.catalog import ENTRIES
from kerasdl.config import typed
from kerasdl.errors import TrackingError
from kerasdl.models.signature import Signature
from kerasdl.tracking import logged_model
from kerasdl.tracking.lookup import Found


def commands(found: Found) -> list[tuple[str, str]]:
    """Returns (purpose, command) for what can be done with the run's model; nothing without one."""
    if found.model is None:
        return []
    signature = _signature(found)
    takes_image = signature is None or signature.takes("image")
    name = found.run.params.get("data.name", "model").partition(":")[0].replace("/", "-")
    given = "image.png" if takes_image else "examples.csv"
    every = {
        "evaluate": ("Evaluate it again, or on other data", {}),
        "predict": ("Apply it to other examples", {"input": given}),
        "explain": ("See where it looks in an image", {"input": given}),
        "robustness": ("Measure its robustness", {}),
        "export": ("Export it", {"format": "onnx"}),
        "register": ("Register it under a name, to serve it", {"name": name, "alias": "champion"}),
    }
    fitting = {
        command: about
        for command, about in every.items()
        if signature is None or (needs := ENTRIES[command].needs) is None or needs.is_met_by(signature)
    }
    return [
        *((purpose, _on_run(found, command, **more)) for command, (purpose, more) in fitting.items()),
        ("Browse it in MLflow", found.store.ui_command()),
    ]


def resume_command(found: Found) -> str:
    """Returns the command that resumes a run; "" if it is finished or seems to be running."""
    return "" if found.run.state in ("FINISHED", "RUNNING") else _on_run(found, "train", "resume")


def _signature(found: Found) -> Signature | None:
    """Returns what the run's model takes and gives.

    None if that isn't known: earlier versions, which had nothing but classifiers of images, didn't keep it; or the
    model's files are gone, and the page, which tells of a run that was, has a gap.
    """
    try:
        metadata = logged_model.metadata(found, found.model) if found.model else {}
    except TrackingError:
        return None
    return Signature.from_metadata(metadata, ()) if "signature" in metadata else None


def _on_run(found: Found, module: str, key: str = "run", **more: str) -> str:
    """Returns a command on the run, from the present working directory."""
    return typed.command(module, {key: found.run.id, **more, **found.store.place()})
