"""The list of commands: what each does, and what it needs of a run's model.

`kerasdl --help` shows the list, each command's own help says what it needs, and a run whose model doesn't fit is
refused in a line that names the commands that fit. Nothing heavy is imported here.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kerasdl.errors import UserError

if TYPE_CHECKING:
    from kerasdl.models.signature import Signature


@dataclass(frozen=True)
class Need:
    """A model with one input and one output.

    Attributes:
        takes: the kind of the input (`kerasdl.data.features.KINDS`).
        gives: the kind of the output.
    """

    takes: str
    gives: str

    def __str__(self) -> str:
        return f"{self.takes} -> {self.gives}"

    def describe(self) -> str:
        """Returns it in words: `a model from an image to a label`."""
        return f"a model from {_with_article(self.takes)} to {_with_article(self.gives)}"

    def is_met_by(self, signature: "Signature") -> bool:
        return signature.takes(self.takes) and signature.gives(self.gives)


@dataclass(frozen=True)
class Entry:
    """A command.

    Attributes:
        does: what it does, in one line.
        on_run: whether it is about a trained run, which `run=` names.
        needs: what that run's model must be; None if any model will do.
    """

    does: str
    on_run: bool = False
    needs: Need | None = None


IMAGE_TO_LABEL = Need("image", "label")

# By what one wants to do.
COMMANDS = {
    "Train": {
        "train": Entry("train the network that a configuration describes, or sweep over many with -m"),
        "preview": Entry("write a picture of the first training batch, as the network gets it"),
    },
    "Look at a run": {
        "evaluate": Entry("measure the network on a split", on_run=True),
        "predict": Entry("apply the network to your own data", on_run=True),
        "explain": Entry(
            "show where in a picture the network looks, and what its layers see", on_run=True, needs=IMAGE_TO_LABEL
        ),
        "robustness": Entry("measure the accuracy on attacked and corrupted images", True, IMAGE_TO_LABEL),
        "report": Entry("write a page about one run, or a table over seeds about many", on_run=True),
        "demo": Entry("draw a digit in the browser and watch the network classify it", True, IMAGE_TO_LABEL),
        "ui": Entry("open the MLflow UI"),
    },
    "Hand a network over": {
        "export": Entry("write the network for other runtimes: SavedModel, LiteRT, ONNX", on_run=True),
        "register": Entry("give the model a name and an alias in MLflow's registry, to serve it by", on_run=True),
    },
    "Look after": {
        "sync": Entry("send to MLflow what runs could not send themselves"),
        "benchmark": Entry("compare speed and memory with plain Keras and PyTorch"),
    },
}
ENTRIES = {name: entry for group in COMMANDS.values() for name, entry in group.items()}


def check(command: str, run_id: str, signature: "Signature") -> None:
    """Checks that a command works for a run's model.

    Raises:
        UserError: it doesn't; names the commands that do.
    """
    needs = ENTRIES[command].needs
    if needs is None or needs.is_met_by(signature):
        return
    fitting = [
        name
        for name, entry in ENTRIES.items()
        if entry.on_run and (entry.needs is None or entry.needs.is_met_by(signature))
    ]
    raise UserError(
        f"{command} needs {needs.describe()}. Run {run_id[:8]}'s model is {signature.describe()}. "
        f"Commands that work for it: {', '.join(fitting)}."
    )


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
