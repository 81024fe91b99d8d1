"""What is sent in which calls, with a client that only records them."""

import errno
from types import SimpleNamespace

import pytest
import requests
from mlflow.exceptions import MlflowException

from kerasdl.runs import RunFolder
from kerasdl.tracking import entries
from kerasdl.tracking.journal import Journal, has_unsent
from kerasdl.tracking.sender import Sender
from kerasdl.tracking.spool import Spool


class Client:
    """Records batches; refuses metrics called "bad" for good, and everything while `away`."""

    def __init__(self):
        self.batches = []
        self.artifacts = []
        self.inputs = []
        self.inputs_tried = 0
        self.away = False
        self.no_files = None  # the error with which files are refused
        self.ended = []

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        if self.away:
            raise ConnectionError("away")
        if any(metric.key == "bad" for metric in metrics):
            raise MlflowException.invalid_parameter_value("invalid name")
        if any(param.key == "denied" for param in params):
            raise PermissionError(errno.EACCES, "Permission denied")
        self.batches.append([(item.key, getattr(item, "step", None)) for item in (*metrics, *params, *tags)])

    def log_inputs(self, run_id, inputs):
        """Refuses a data set at first, as MLflow's SQL store does when another run adds it at the same moment."""
        self.inputs_tried += 1
        if self.inputs_tried == 1:
            raise MlflowException("UNIQUE constraint failed: datasets.experiment_id, datasets.name, datasets.digest")
        self.inputs += [item.dataset.name for item in inputs]

    def set_terminated(self, run_id, status, time):
        self.ended.append(status)

    def upload(self, address, source, folder):
        if self.no_files:
            raise self.no_files
        self.artifacts.append((source.read_text(), folder))


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.new(tmp_path, {}, "hash")
    folder.create()
    return folder


@pytest.fixture
def journal(folder):
    return Journal(folder.tracking)


@pytest.fixture
def sender(folder, journal, client, monkeypatch):
    sender = Sender(None, folder, journal, experiment="e")
    monkeypatch.setattr("kerasdl.tracking.entry_writer.upload", Client.upload)
    info = SimpleNamespace(run_id="run", experiment_id="1", artifact_uri="/nowhere")
    sender.attach(client, SimpleNamespace(info=info))
    return sender


def append_metrics(journal, steps, key="loss"):
    for step in steps:
        journal.append(entries.metrics([(key, 0.5)], step, 0))


def test_metrics_gather_and_keep_their_place_among_the_rest(journal, sender, client):
    append_metrics(journal, range(2500))
    journal.append(entries.params({"seed": "0"}))
    append_metrics(journal, [2500])
    list(sender.send())
    assert [len(batch) for batch in client.batches] == [1000, 1000, 500, 1, 1]
    assert client.batches[3] == [("seed", None)]
    assert [step for batch in client.batches for key, step in batch if key == "loss"] == list(range(2501))
    assert list(journal.unsent()[1]) == []


def test_a_series_is_longer_than_a_call_takes(journal, sender, client):
    journal.append(entries.series("rate", 10, [0.1] * 2500, 0))
    list(sender.send())
    assert [step for batch in client.batches for _, step in batch] == list(range(10, 2510))
    assert max(map(len, client.batches)) == 1000


def test_a_name_that_is_refused_costs_only_its_own_points(journal, sender, client):
    append_metrics(journal, [1], "loss")
    append_metrics(journal, [1], "bad")
    append_metrics(journal, [2], "loss")
    list(sender.send())
    assert client.batches == [[("loss", 1), ("loss", 2)]]
    assert list(sender.failures) == ["metric bad"]
    assert list(journal.unsent()[1]) == []


def test_after_an_outage_sending_resumes_where_it_stopped(journal, sender, client):
    append_metrics(journal, range(1500))
    sending = sender.send()
    next(sending)
    client.away = True
    with pytest.raises(ConnectionError):
        next(sending)
    client.away = False
    list(sender.send())
    assert [step for batch in client.batches for _, step in batch] == list(range(1500))
    assert sender.failures == {}


def test_a_damaged_line_at_the_end_is_not_waited_for(folder, journal, sender):
    journal.append(entries.tags({"a": "b"}))
    journal.close()
    with open(folder.tracking / "journal", "ab") as file:
        file.write(b"damaged\n")
    journal = sender._journal = Journal(folder.tracking)
    list(sender.send())
    assert journal.sent == journal.end


def test_a_spooled_file_is_deleted_once_sent_and_is_not_missed_when_sent_again(folder, journal, sender, client):
    spool = Spool(folder.tracking)
    path = spool.add("note.txt", lambda path: path.write_text("hello"))
    journal.append(entries.artifact(path, "notes", spooled=True))
    list(sender.send())
    assert not path.exists()
    journal.mark_sent(0)  # as after a loss of power
    list(sender.send())
    assert client.artifacts == [("hello", "notes")]
    assert sender.failures == {}


def test_only_files_that_wait_stay_in_the_spool(folder, journal):
    spool = Spool(folder.tracking)
    waiting = spool.add("a.txt", lambda path: path.write_text("a"))
    orphan = spool.add("b.txt", lambda path: path.write_text("b"))
    journal.append(entries.artifact(waiting, None, spooled=True))
    spool.remove_all_but(stored.entry for stored in journal.unsent()[1])
    assert waiting.exists()
    assert not orphan.parent.exists()


def test_a_file_that_can_not_be_written_leaves_nothing_in_the_spool(folder):
    def fail(path):
        path.write_text("half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        Spool(folder.tracking).add("a.txt", fail)
    assert list((folder.tracking / "spool").iterdir()) == []


def test_a_data_set_that_another_run_adds_at_the_same_moment_is_kept(journal, sender, client):
    journal.append(entries.dataset("digits", "1.0.0", "abc", "tfds://digits/1.0.0", "train"))
    list(sender.send())
    assert client.inputs == ["digits"]
    assert sender.failures == {}


def http_error(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} from the server", response=response)


REFUSALS = [
    PermissionError(errno.EACCES, "Permission denied"),
    OSError(errno.EROFS, "Read-only file system"),
    NotADirectoryError(errno.ENOTDIR, "Not a directory"),
    OSError(errno.ENOSPC, "No space left on device"),
    http_error(403),
    http_error(413),
    http_error(500),
    http_error(507),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
def test_a_file_that_is_refused_waits_and_holds_up_nothing(refusal, folder, journal, sender, client):
    path = Spool(folder.tracking).add("note.txt", lambda path: path.write_text("hello"))
    journal.append(entries.artifact(path, "notes", spooled=True))
    append_metrics(journal, [1])
    client.no_files = refusal
    list(sender.send())
    assert client.batches == [[("loss", 1)]]
    assert sender.refusals == {"notes/note.txt": refusal}
    assert (journal.count_waiting(), journal.sent) == (1, journal.end)
    journal.close()
    assert has_unsent(folder.tracking)

    again = sender._journal = Journal(folder.tracking)  # another process, when the store takes files again
    Spool(folder.tracking).remove_all_but(again.waiting())
    client.no_files = None
    list(sender.send())
    list(sender.send_refused())
    assert client.artifacts == [("hello", "notes")]
    assert (again.count_waiting(), sender.refusals, path.exists()) == (0, {}, False)
    assert not has_unsent(folder.tracking)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_an_unavailable_server_holds_up_files_as_well(status, folder, journal, sender, client):
    path = Spool(folder.tracking).add("note.txt", lambda path: path.write_text("hello"))
    journal.append(entries.artifact(path, "notes", spooled=True))
    client.no_files = http_error(status)
    with pytest.raises(requests.HTTPError):
        list(sender.send())
    assert len(journal.refused) == 0
    assert journal.count_waiting() == 1


def test_entries_other_than_files_are_set_aside_too(journal, sender, client):
    journal.append(entries.params({"denied": "1"}))
    append_metrics(journal, [1])
    list(sender.send())
    assert list(sender.refusals) == ["params denied ..."]
    assert journal.count_waiting() == 1
    assert client.batches == [[("loss", 1)]]


def test_an_older_file_does_not_replace_a_newer_one_of_the_same_name(folder, journal, sender, client):
    for text in ("old", "new"):
        path = Spool(folder.tracking).add("steps.csv", lambda path, text=text: path.write_text(text))
        journal.append(entries.artifact(path, None, spooled=True))
        client.no_files = OSError(errno.EROFS, "Read-only file system") if text == "old" else None
        list(sender.send())
    list(sender.send_refused())
    assert client.artifacts == [("new", None)]
    assert journal.count_waiting() == 0
    assert not any((folder.tracking / "spool").iterdir())


def test_of_several_files_of_one_name_that_wait_the_last_stays(folder, journal, sender, client):
    client.no_files = OSError(errno.EROFS, "Read-only file system")
    for text in ("old", "new"):
        path = Spool(folder.tracking).add("steps.csv", lambda path, text=text: path.write_text(text))
        journal.append(entries.artifact(path, None, spooled=True))
    list(sender.send())
    client.no_files = None
    list(sender.send_refused())
    assert client.artifacts[-1] == ("new", None)


def test_a_file_of_the_users_that_is_gone_is_named_and_not_waited_for(tmp_path, journal, sender):
    journal.append(entries.artifact(tmp_path / "trace", "profile", spooled=False))
    list(sender.send())
    assert list(sender.failures) == [str(tmp_path / "trace")]
    assert journal.count_waiting() == 0


def test_a_full_disk_sets_nothing_aside_and_loses_nothing(folder, journal, sender, client, monkeypatch):
    path = Spool(folder.tracking).add("note.txt", lambda path: path.write_text("hello"))
    journal.append(entries.artifact(path, None, spooled=True))
    client.no_files = OSError(errno.EROFS, "Read-only file system")

    def full(self, begins):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kerasdl.tracking.refused.RefusedEntries.add", full)
    with pytest.raises(OSError, match="No space left"):
        list(sender.send())
    assert (journal.count_waiting(), path.read_text()) == (1, "hello")
