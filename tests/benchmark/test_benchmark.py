"""The benchmark's table, and (slow) one round of the real comparison."""

import pytest

from kerasdl.benchmark import sweeping
from kerasdl.benchmark.__main__ import Sample, checkpoint_lines, main, table
from kerasdl.benchmark.measurement import Measurement


def test_the_table_gives_medians_and_ratios_to_the_first_program():
    base = [Sample(10_000, 6.0, 1_000_000_000, 0.97), Sample(8_000, 8.0, 1_100_000_000, 0.98)]
    other = [Sample(18_000, 3.5, 500_000_000, 0.97), Sample(9_000, 3.5, 550_000_000, 0.97)]
    rows = table({"plain": base, "ours": other}).splitlines()
    assert rows[2] == "| plain | 9,000 (8,000 to 10,000) | 1.00 | 7.0 | 1.00 | 1,050 MB | 1.00 | 97.50 % |"
    assert rows[3] == "| ours | 13,500 (9,000 to 18,000) | 1.50 | 3.5 | 0.50 | 525 MB | 0.50 | 97.00 % |"


def test_the_cost_of_checkpoints_is_reported():
    fresh = [Sample(1.0, 5.0, 1, 0.9, stalled=0.001, writing=0.004)]
    lines = checkpoint_lines(fresh, [Sample(1.0, 5.5, 1, 0.9)])
    assert "waited for 0.10 % of its time" in lines
    assert "wrote for 0.40 %" in lines
    assert lines.endswith("first step after 5.5 s, 1.10 of a new run's.")


def test_a_measurement_is_the_last_line_of_what_a_program_prints(capsys):
    measurement = Measurement(first_step_at=1.5, epoch_seconds=[2.0, 1.0], test_accuracy=0.9, peak_memory=3)
    print("epoch 1/1")
    measurement.report()
    assert Measurement.read(capsys.readouterr().out) == measurement


def test_too_few_epochs_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--epochs", "1"])
    assert "--epochs >= 2" in capsys.readouterr().err


def test_the_table_of_sweeps_says_how_much_faster_ours_is():
    rows = sweeping.table({"stock": [20.0, 10.0, 12.0], "ours": [30.0, 24.0, 18.0]}).splitlines()
    assert rows[2] == "| stock | 12.0 (10.0 to 20.0) | 2.00x |"
    assert rows[3] == "| ours | 24.0 (18.0 to 30.0) | 1.00x |"


def test_the_last_way_to_sweep_is_ours():
    assert list(sweeping.ways(3).values())[0] == ("hydra/sweeper=basic",)
    assert list(sweeping.ways(3).values())[-1] == ("sweep.jobs=3",)


@pytest.mark.slow
def test_one_round_of_sweeps(capsys):
    main(["--sweep", "--rounds", "1", "--trials", "2"])
    assert "| kerasdl's sweeper, 2 jobs |" in capsys.readouterr().out


@pytest.mark.slow
def test_one_round_of_the_real_comparison(capsys):
    main(["--rounds", "1", "--epochs", "2"])
    shown = capsys.readouterr().out
    assert "| Keras fit over tf.data |" in shown
    assert "| kerasdl |" in shown
    assert "Resume: first step after" in shown
