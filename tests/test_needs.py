"""Commands on runs of every task: each says what it needs, and refuses what doesn't fit in one line."""

import importlib

import pytest

from kerasdl import catalog
from kerasdl.__main__ import module_of
from kerasdl.catalog import ENTRIES, IMAGE_TO_LABEL
from kerasdl.data.features import Feature, image, label, number
from kerasdl.errors import UserError
from kerasdl.models.signature import Signature

CLASSIFIER = Signature.of_classifier((8, 8, 1), ("a", "b"))
TABLE = Signature("regression", {f"x{i}": number() for i in range(10)}, {"y": number()})
AUTOENCODER = Signature(
    "autoencoder", {"image": image(8, 8, 1)}, {"image": image(8, 8, 1), "code": Feature("number", (4,), "float32")}
)
PICKY = [name for name, entry in ENTRIES.items() if entry.needs]
ON_A_RUN = [name for name, entry in ENTRIES.items() if entry.on_run]


def test_what_needs_an_image_and_a_label():
    assert PICKY == ["explain", "robustness", "demo"]
    assert all(ENTRIES[name].needs == IMAGE_TO_LABEL for name in PICKY)


@pytest.mark.parametrize("command", ON_A_RUN)
def test_a_classifier_of_images_is_what_every_command_works_for(command):
    catalog.check(command, "6695bd27", CLASSIFIER)


@pytest.mark.parametrize(
    ("signature", "described"),
    [
        (TABLE, "10 numbers -> number"),
        (AUTOENCODER, "image -> image, 4 numbers"),
        (Signature("classification", TABLE.inputs, {"label": label(("a", "b"))}), "10 numbers -> label"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_commands_that_do(signature, described):
    for command in set(ON_A_RUN) - set(PICKY):
        catalog.check(command, "6695bd27", signature)
    with pytest.raises(UserError) as caught:
        catalog.check("explain", "6695bd27aaaa", signature)
    assert str(caught.value) == (
        f"explain needs a model from an image to a label. Run 6695bd27's model is {described}. "
        "Commands that work for it: evaluate, predict, report, export, register."
    )


@pytest.mark.parametrize("command", PICKY)
@pytest.mark.parametrize("run", ["regression_run", "autoencoder_run"])
def test_the_command_itself_refuses_a_run_that_does_not_fit(command, run, request, capsys):
    found = request.getfixturevalue(run)
    with pytest.raises(SystemExit) as caught:
        importlib.import_module(module_of(command)).main([f"run={found.id}", f"paths.output_dir={found.output_dir}"])
    errors = capsys.readouterr().err
    assert caught.value.code == 1
    assert errors.startswith(f"Error: {command} needs a model from an image to a label. Run {found.id[:8]}'s model is ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("command", ON_A_RUN)
def test_help_says_what_a_command_needs(command, capsys):
    with pytest.raises(SystemExit):
        importlib.import_module(module_of(command)).main(["--help"])
    shown = capsys.readouterr().out
    needed = "Needs a model from an image to a label (image -> label)." in shown
    assert needed == (command in PICKY)
    assert ("Works for every model." in shown) == (command not in PICKY)
