import math
import resource
import subprocess
import sys
import textwrap
import threading
import tracemalloc

import pytest

from kerasdl.tracking.journal import Journal, has_unsent


def numbers(journal):
    return [entry["number"] for entry in journal.entries()]


def unsent(journal):
    return [stored.entry["number"] for stored in journal.unsent()[1]]


@pytest.fixture
def three(tmp_path):
    """A closed journal with the entries 0, 1 and 2."""
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append({"number": number})
    journal.close()
    return tmp_path


def test_entries_come_back_in_order_and_as_they_were(tmp_path):
    entries = [
        {"text": 'ä\n"', "none": None, "list": [1, 0.1, [True]]},
        {"values": [float("inf"), -float("inf"), 5e-324]},
        {},
    ]
    journal = Journal(tmp_path)
    for entry in entries:
        journal.append(entry)
    journal.append({"nan": float("nan")})
    journal.close()
    *read, last = Journal(tmp_path).entries()
    assert read == entries
    assert math.isnan(last["nan"])


def test_sending_resumes_where_it_stopped(three):
    journal = Journal(three)
    first = next(journal.unsent()[1])
    journal.mark_sent(first.end)
    journal.close()
    assert has_unsent(three)
    journal = Journal(three)
    assert unsent(journal) == [1, 2]
    assert journal.count_waiting() == 2
    journal.mark_sent(journal.unsent()[0])
    assert unsent(journal) == []
    assert not has_unsent(three)
    assert numbers(journal) == [0, 1, 2]


def test_no_journal_has_nothing_to_send(tmp_path):
    assert not has_unsent(tmp_path)


@pytest.mark.parametrize("tail", [b"5", b'0badc0de {"number"', bytes(5000), b"x" * 200_000], ids=lambda tail: len(tail))
def test_a_torn_last_line_is_cut(three, tail, capfd):
    with open(three / "journal", "ab") as file:
        file.write(tail)
    journal = Journal(three)
    journal.append({"number": 3})
    assert numbers(journal) == [0, 1, 2, 3]
    assert capfd.readouterr().err == ""


def test_a_damaged_line_is_left_out_and_named_once(three, capfd):
    content = bytearray((three / "journal").read_bytes())
    second = content.index(b"\n") + 1
    content[second + 15] ^= 1
    (three / "journal").write_bytes(content)
    journal = Journal(three)
    assert numbers(journal) == [0, 2]
    assert unsent(journal) == [0, 2]
    assert capfd.readouterr().err.count("Warning") == 1
    assert unsent(Journal(three)) == [0, 2]
    assert f"{three}/journal: the line at byte {second} is damaged" in capfd.readouterr().err


@pytest.mark.parametrize("offset", [b"", b"nonsense", b"%020d\n" % 999, b"%020d\n" % 7, b"-" * 20 + b"\n", bytes(21)])
def test_an_offset_that_is_garbage_sends_everything_again(three, offset):
    (three / "sent").write_bytes(offset)
    assert has_unsent(three)
    assert unsent(Journal(three)) == [0, 1, 2]


def test_threads_do_not_tear_each_others_lines(tmp_path):
    journal = Journal(tmp_path)

    def append(thread):
        for number in range(1000):
            journal.append({"number": number, "thread": thread})

    threads = [threading.Thread(target=append, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = list(journal.entries())
    for thread in range(4):
        assert [entry["number"] for entry in entries if entry["thread"] == thread] == list(range(1000))


def test_reading_takes_no_memory(tmp_path):
    journal = Journal(tmp_path)
    for number in range(5000):
        journal.append({"number": number, "text": "x" * 1000})
    tracemalloc.start()
    count = sum(1 for _ in journal.unsent()[1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5000
    assert peak < 500_000


def test_what_is_handed_out_is_on_disk_first(tmp_path, monkeypatch):
    synced = []
    journal = Journal(tmp_path)
    monkeypatch.setattr("os.fsync", lambda _: synced.append(journal.end))
    journal.append({"number": 0})
    assert synced == []  # it would slow training down
    end, _ = journal.unsent()
    assert synced == [end]
    journal.append({"number": 1})
    journal.sync()
    assert synced == [end, journal.end]


FULL_DISK = """
import resource, sys
from pathlib import Path
from kerasdl.tracking.journal import Journal

journal = Journal(Path(sys.argv[1]))
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, most))
for number in range(200):
    journal.append({"number": number})
assert 0 < journal.in_memory < 200
assert not journal.flush()
try:
    journal.sync()
    sys.exit("sync did not say that entries are only in memory")
except OSError:
    pass
on_disk = [stored.entry["number"] for stored in journal.unsent()[1]]
assert on_disk == list(range(200 - journal.in_memory)), on_disk
if sys.argv[2] == "freed":
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    journal.append({"number": 200})
    assert journal.in_memory == 0
    journal.sync()
else:
    assert [entry["number"] for entry in journal.take_from_memory()] == list(range(len(on_disk), 200))
"""


@pytest.mark.parametrize("then", ["freed", "stays full"])
def test_a_full_disk_keeps_entries_in_memory_until_there_is_space(tmp_path, then):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), tmp_path, then], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Warning") == 1
    assert "metrics wait in memory" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2000
    read = numbers(Journal(tmp_path))
    assert read == list(range(201)) if then == "freed" else 0 < len(read) < 200
