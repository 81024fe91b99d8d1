import csv
import io

from kerasdl.sweeps.table import csv_text, swept_keys
from kerasdl.sweeps.trials import Objective, State, Trial

ACCURACY, LOSS = Objective("val_accuracy", True), Objective("val_loss", False)


def rows(trials, objectives=(ACCURACY,)):
    return list(csv.DictReader(io.StringIO(csv_text(trials, objectives), newline="")))


def test_a_trial_is_a_row_and_each_swept_key_a_column():
    trial = Trial(
        number=3,
        state=State.FINISHED,
        overrides={"optimizer.learning_rate": 0.1, "seed": 2},
        config_hash="abc",
        values=(0.5,),
        epoch=4,
        run_id="r1",
        seconds=12.34,
    )
    header = "trial,state,optimizer.learning_rate,seed,val_accuracy,epoch,seconds,run_id,config_hash,error"
    assert csv_text([trial], [ACCURACY]) == f"{header}\n3,FINISHED,0.1,2,0.5,4,12.3,r1,abc,\n"


def test_rows_are_ordered_by_number():
    trials = [Trial(number, State.WAITING, {"seed": number}) for number in (2, 10, 0)]
    assert [row["trial"] for row in rows(trials)] == ["0", "2", "10"]


def test_numbers_keep_all_their_digits():
    value, rate = 0.1 + 0.2, 1 / 3
    (row,) = rows([Trial(0, State.FINISHED, {"rate": rate}, values=(value, 1e-30))], [ACCURACY, LOSS])
    assert (float(row["val_accuracy"]), float(row["val_loss"]), float(row["rate"])) == (value, 1e-30, rate)


def test_a_key_that_a_trial_lacks_is_empty_and_null_is_not():
    trials = [Trial(0, State.FINISHED, {"model": "mlp"}), Trial(1, State.FINISHED, {"schedule": None, "model": "cnn"})]
    assert swept_keys(trials) == ["model", "schedule"]
    assert [row["schedule"] for row in rows(trials)] == ["", "null"]


def test_what_has_no_value_leaves_its_columns_empty():
    trials = [
        Trial(0, State.FAILED, {}, values=None),
        Trial(1, State.PRUNED, {}, values=(0.25,)),
        Trial(2, State.FINISHED, {}, values=(0.5, float("nan"))),
    ]
    read = rows(trials, [ACCURACY, LOSS])
    assert [(row["val_accuracy"], row["val_loss"]) for row in read] == [("", ""), ("0.25", ""), ("0.5", "nan")]
    assert [row["epoch"] for row in read] == ["0", "0", "0"]


def test_commas_quotes_and_line_ends_survive():
    error = 'OOM: "a, b"\nand more\rand more'
    (row,) = rows([Trial(0, State.FAILED, {"model.units": "[64,128]", "on": True}, error=error)])
    assert (row["error"], row["model.units"], row["on"]) == (error, "[64,128]", "true")
    assert None not in row  # no cell too many


def test_no_trial_is_a_header():
    assert csv_text([], [ACCURACY, LOSS]).split("\n") == [
        "trial,state,val_accuracy,val_loss,epoch,seconds,run_id,config_hash,error",
        "",
    ]
