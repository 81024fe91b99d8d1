"""KEY=VALUE arguments of the commands on a run."""

import importlib

import pytest

from kerasdl.__main__ import module_of
from kerasdl.commands import (
    COMMAND,
    OVERWRITE,
    RUN_KEYS,
    Key,
    boolean,
    choice,
    choices,
    command,
    fresh_directory,
    fresh_file,
    integer,
    names,
    number,
    numbers,
    parse,
)
from kerasdl.errors import ConfigError, UserError

KEYS = (
    *RUN_KEYS,
    Key("method", "how", "saliency", choice("saliency", "gradcam")),
    Key("formats", "which", ("a",), choices("a", "b")),
    Key("steps", "how many", 20, integer(1, 100)),
    Key("share", "how much, up to 100 %", 0.5, number(0.0, 1.0)),
    Key("epsilons", "how far", (0.1, 0.2), numbers(0.0)),
    Key("layers", "where", None, names),
    Key("seed", "of what is drawn", 0, integer(0)),
    Key("invert", "turn it round", False, boolean),
    OVERWRITE,
)


def test_what_is_typed_becomes_values_and_the_rest_has_its_default():
    values = parse(
        ["run=4f2a", "formats=b,a,b", "steps=3", "epsilons=0,1.5", "layers= conv1 ,conv2", "invert=TRUE", "log=false"],
        KEYS,
    )
    assert values["run"] == "4f2a"
    assert values["formats"] == ("b", "a")
    assert values["steps"] == 3
    assert values["epsilons"] == (0.0, 1.5)
    assert values["layers"] == ("conv1", "conv2")
    assert values["invert"] is True
    assert values["log"] is False
    assert (values["method"], values["share"], values["overwrite"]) == ("saliency", 0.5, False)
    assert (values["paths.output_dir"], values["tracking.uri"]) == ("./mlruns", None)


def test_a_value_may_have_an_equals_sign():
    assert parse(["run=a=b"], KEYS)["run"] == "a=b"


def test_data_is_taken_only_where_it_makes_sense():
    values = parse(["run=last", "data=emnist", "data.batch_size=3"], KEYS, takes_data=True)
    assert values["data"] == ["data=emnist", "data.batch_size=3"]
    with pytest.raises(ConfigError, match="data: there is no such key"):
        parse(["run=last", "data=emnist"], KEYS)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("methd=gradcam", "methd: there is no such key. Did you mean 'method'?"),
        ("method", "arguments must be KEY=VALUE. Received: 'method'. Give method a value: method=..."),
        ("method=", "arguments must be KEY=VALUE"),
        ("method=gradcm", "method must be one of saliency, gradcam. Received: 'gradcm'. Did you mean 'gradcam'?"),
        ("formats=a,c", "formats must be one or more of a, b. Received: 'c'."),
        ("formats=,", "formats must name at least one. Received: ','."),
        ("steps=0", "steps must be an integer in [1, 100]. Received: '0'."),
        ("steps=1.5", "steps must be an integer in [1, 100]. Received: '1.5'."),
        ("share=nan", "share must be a number in [0.0, 1.0]. Received: 'nan'."),
        ("epsilons=0.1,x", "epsilons must be a number >= 0.0. Received: 'x'."),
        ("epsilons=inf", "epsilons must be a number >= 0.0. Received: 'inf'."),
        ("invert=yes", "invert must be true or false. Received: 'yes'."),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(argument, message):
    with pytest.raises(ConfigError) as caught:
        parse(["run=last", argument], KEYS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_required_key_that_is_missing_is_told():
    with pytest.raises(ConfigError, match=r"run=\.\.\. must be given"):
        parse([], KEYS)


def _raise(error):
    def run(values):
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "code", "told"),
    [
        (lambda values: None, None, ""),
        (lambda values: 0, None, ""),
        (lambda values: 1, 1, ""),
        (_raise(UserError("no such thing")), 1, "Error: no such thing\n"),
        (_raise(ConfigError("mistyped")), 2, "Error: mistyped\n"),
        (_raise(KeyboardInterrupt()), 130, "Interrupted.\n"),
    ],
)
def test_exit_codes(run, code, told, capsys):
    main = command("explain", "Shows.", "python -m kerasdl.explain run=last", KEYS, run)
    if code is None:
        main(["run=last"])
    else:
        with pytest.raises(SystemExit) as caught:
            main(["run=last"])
        assert caught.value.code == code
    assert capsys.readouterr().err == told


def test_help_names_every_key_with_its_default(capsys):
    main = command("explain", "Shows.", "python -m kerasdl.explain run=last", KEYS, _raise(AssertionError()))
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for key in KEYS:
        assert f"{key.name}=" in shown
    assert "(default 0.1,0.2)" in shown
    assert "(default saliency)" in shown
    assert "of what is drawn (default 0)" in shown
    assert "turn it round (default false)" in shown
    assert "object" not in shown


def test_help_has_the_details_and_the_need_between_the_description_and_the_keys(capsys):
    main = command("explain", "Shows.", "python -m kerasdl.explain run=last", KEYS, print, details="Intervals: 95 %.")
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    parts = ["Shows.", "Intervals: 95 %.", "Needs a model from an image to a label (image -> label).", "run="]
    assert [shown.index(part) for part in parts] == sorted(shown.index(part) for part in parts)


def test_the_values_say_which_command_it_is_so_that_its_need_is_checked():
    given = []
    command("explain", "Shows.", "python -m kerasdl.explain run=last", KEYS, given.append)(["run=last"])
    assert given[0][COMMAND] == "explain"


COMMANDS = ("demo", "evaluate", "explain", "export", "predict", "register", "report", "robustness")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_takes_a_run(name, capsys):
    main = importlib.import_module(module_of(name)).main
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "run=" in shown
    assert "Example" in shown


def test_what_is_there_is_not_overwritten_unless_told(tmp_path):
    there, empty, file = tmp_path / "there", tmp_path / "empty", tmp_path / "there" / "file.csv"
    there.mkdir()
    empty.mkdir()
    file.write_text("a")
    assert fresh_directory(tmp_path / "new", False) == tmp_path / "new"
    assert fresh_directory(empty, False) == empty
    assert fresh_directory(there, True) == there
    with pytest.raises(UserError, match="has files already. Name another directory, or add overwrite=true."):
        fresh_directory(there, False)
    with pytest.raises(UserError, match="must be a directory"):
        fresh_directory(file, True)
    assert fresh_file(there / "new.csv", False) == there / "new.csv"
    assert fresh_file(file, True) == file
    with pytest.raises(UserError, match="exists. Name another file, or add overwrite=true."):
        fresh_file(file, False)
    with pytest.raises(UserError, match="must be a file"):
        fresh_file(there, True)
    with pytest.raises(UserError, match="directory that exists"):
        fresh_file(tmp_path / "nowhere" / "a.csv", False)
