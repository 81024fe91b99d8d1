"""What Hydra's command line and ours do together, in this process."""

import os
import signal
from pathlib import Path

import pytest

from kerasdl import cli, train
from kerasdl.training.interrupts import Interrupts


def test_paths_mean_what_they_mean_where_the_user_stands(typed, tmp_path):
    seen = []
    main = cli.hydra_main(lambda config: seen.append(Path(config.paths.output_dir).absolute()))
    typed(main, "hydra.job.chdir=true", "hydra.run.dir=elsewhere")
    assert seen == [tmp_path / "mlruns"]
    assert Path.cwd() == tmp_path
    typed(main, "-m", "hydra/sweeper=basic", "hydra.job.chdir=true", "hydra.sweep.dir=elsewhere", "seed=0,1")
    assert seen == [tmp_path / "mlruns"] * 3
    assert not (tmp_path / "elsewhere" / "mlruns").exists()


def test_a_second_ctrl_c_ends_a_command_at_once_but_not_the_process_that_called_it(typed):
    """A notebook's kernel must survive the second; the command must not wait for Python to answer it."""
    seen = []
    assert Interrupts.second is signal.default_int_handler
    typed(cli.hydra_main(lambda config: seen.append(Interrupts.second)))
    assert seen == [signal.SIG_DFL]
    assert Interrupts.second is signal.default_int_handler


def test_an_interpolation_may_be_typed(typed, capsys):
    seen = []
    main = cli.hydra_main(lambda config: seen.append((config.seed, config.trainer.epochs)))
    typed(main, "seed=${trainer.epochs}", "trainer.epochs=${oc.decode:'7'}")
    typed(main, "-m", "hydra/sweeper=basic", "seed=${trainer.epochs}", "trainer.epochs=1,2")
    assert seen == [(7, 7), (1, 1), (2, 2)]
    assert capsys.readouterr().err == ""


def test_a_sweep_may_be_asked_for_among_overrides(typed, capsys):
    typed(train.main, "debug=one_batch,null", "-m", "data=digits", "sweep.dry_run=true", "seed=0")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:2]] == [["WAITING", "debug=one_batch"], ["WAITING", "debug=null"]]
    assert os.listdir() == []


@pytest.mark.parametrize("words", [["model=null"], ["-m", "model=null", "seed=0,1"], ["resume=${x}"], ["seed=${x}"]])
def test_a_slip_is_one_line(typed, capsys, words):
    with pytest.raises(SystemExit) as caught:
        typed(train.main, *words)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("Error: ")
    assert told.count("\n") == 1
    assert os.listdir() == []
