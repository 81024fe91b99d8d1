"""Where studies are kept: made whole, never in MLflow's database, and a mistake said in one line."""

import contextlib
import re
import sqlite3
import threading
from pathlib import Path

import optuna
import pytest

from kerasdl.errors import ConfigError
from kerasdl.files import sync
from kerasdl.sweeps import storage
from kerasdl.sweeps.storage import address, file_of, open_storage


def refusal(where):
    with pytest.raises(ConfigError) as caught:
        open_storage(where)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_default_is_a_database_of_its_own_in_the_output_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert address(None, "mlruns") == f"sqlite:///{tmp_path}/mlruns/optuna.db"
    assert address(None, "~/x") == f"sqlite:///{Path.home()}/x/optuna.db"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("sqlite:////data/s.db", "sqlite:////data/s.db"),
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2://h/d"),
        ("mysql://h/d", "mysql+pymysql://h/d"),
    ],
)
def test_an_address_stands_but_for_its_driver(typed, expected):
    assert address(typed, "mlruns") == expected


def test_a_path_is_a_journal_and_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert address("shared/study.journal", "mlruns") == str(tmp_path / "shared" / "study.journal")


def test_the_file_of_an_address():
    assert file_of("/shared/study.journal") == Path("/shared/study.journal")
    assert file_of("sqlite:////data/s.db?timeout=3") == Path("/data/s.db")
    assert file_of("sqlite+pysqlite:///s.db") == Path("s.db")
    assert file_of("postgresql+psycopg://h/d") is None


def test_a_database_is_made_whole_and_nothing_is_left_beside_it(empty_database):
    with contextlib.closing(sqlite3.connect(empty_database)) as opened:
        tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master")}
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {"studies", "trials", "alembic_version"} <= tables
    assert {path.name for path in empty_database.parent.iterdir()} <= {"optuna.db", "optuna.db.lock"}


def test_a_database_whose_making_was_killed_is_made_again(tmp_path, monkeypatch):
    where = address(None, tmp_path / "new")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "put_in_place", killed)
    with pytest.raises(KeyboardInterrupt):
        open_storage(where)
    assert not (tmp_path / "new" / "optuna.db").exists()  # never half of one
    for left in (tmp_path / "new").glob(".optuna.db.making*"):
        left.write_bytes(b"half")
    monkeypatch.undo()
    assert open_storage(where).get_all_studies() == []
    assert list((tmp_path / "new").glob(".*making*")) == []
    sync(tmp_path / "new")


def test_two_that_open_at_once_make_one(tmp_path):
    where, failures = address(None, tmp_path / "new"), []
    barrier = threading.Barrier(3)

    def work(number):
        barrier.wait()
        try:
            open_storage(where).create_new_study([optuna.study.StudyDirection.MAXIMIZE], f"study {number}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(open_storage(where).get_all_studies()) == 3


def test_a_journal_is_made_with_its_folder(tmp_path):
    where = str(tmp_path / "shared" / "study.journal")
    open_storage(where).create_new_study([optuna.study.StudyDirection.MAXIMIZE], "study")
    assert [study.study_name for study in open_storage(where).get_all_studies()] == ["study"]


def test_mlflows_database_is_refused_by_its_name(tmp_path):
    where = f"sqlite:///{tmp_path}/mlflow.db"
    assert refusal(where) == f"sweep.storage must not be MLflow's database. Received: {where}. Name another file."
    assert list(tmp_path.iterdir()) == []


def test_mlflows_database_is_refused_under_any_name(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "runs.db")) as opened:
        opened.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        opened.commit()
    assert "must not be MLflow's database" in refusal(f"sqlite:///{tmp_path}/runs.db")


def test_a_database_given_as_a_journal_is_refused(empty_database):
    before = empty_database.read_bytes()
    message = refusal(str(empty_database))
    assert message.endswith(f"not a journal. Use sweep.storage=sqlite:///{empty_database}.")
    assert empty_database.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_stays(tmp_path):
    (tmp_path / "study.journal").write_bytes(b'{"op_code": 0}\n' * 100)
    message = refusal(f"sqlite:///{tmp_path}/study.journal")
    assert "can't be opened (file is not a database). Start its server, or name another." in message
    assert (tmp_path / "study.journal").read_bytes() == b'{"op_code": 0}\n' * 100


@pytest.mark.parametrize("where", ["sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_a_database_in_memory_is_refused(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(where).startswith("sweep.storage must name a file, e.g. sqlite:///optuna.db.")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert "can't be opened" in refusal(str(tmp_path / "file" / "study.journal"))
    assert "can't be opened" in refusal(f"sqlite:///{tmp_path}/file/study.db")


@pytest.mark.parametrize(
    ("where", "extra"),
    [("postgresql+psycopg2cffi://h/d", "postgresql"), ("mysql+mysqldb://h/d", "mysql")],
)
def test_without_a_driver_the_extra_is_named(where, extra):
    scheme = where.partition("://")[0]
    assert refusal(where) == (
        f"sweep.storage: no driver for {scheme}:// is installed. Install one: pip install 'kerasdl[{extra}]'."
    )


def test_a_server_that_nobody_runs_is_named_without_its_password():
    psycopg = pytest.importorskip("psycopg")
    assert psycopg
    message = refusal("postgresql+psycopg://anna:geheim@127.0.0.1:1/studies")
    assert re.match(
        r"sweep\.storage: postgresql\+psycopg://anna:\*\*\*@127\.0\.0\.1:1/studies can't be opened \(.*refused", message
    )
    assert "geheim" not in message


def test_an_address_of_an_unknown_kind_is_refused():
    assert "can't be opened" in refusal("oracel://h/d")


def test_what_a_killed_process_had_half_written_is_taken_back(empty_database, tmp_path):
    """Its journal is still there, so a database that is only read could not be opened."""
    killed = tmp_path / "killed" / storage.DATABASE
    killed.parent.mkdir()
    with contextlib.closing(sqlite3.connect(empty_database, isolation_level=None)) as writing:
        writing.execute("PRAGMA cache_size = 1")
        writing.execute("BEGIN IMMEDIATE")
        writing.executemany(
            "INSERT INTO studies (study_name) VALUES (?)", ((f"{number:0500}",) for number in range(200))
        )
        for ending in ("", "-journal"):
            source = empty_database.with_name(f"{empty_database.name}{ending}")
            killed.with_name(f"{killed.name}{ending}").write_bytes(source.read_bytes())
        writing.execute("ROLLBACK")
    assert open_storage(address(f"sqlite:///{killed}", tmp_path)).get_all_studies() == []
