"""Checkpoint files: what was written comes back or is refused, and what goes wrong costs no earlier one."""

import contextlib
import hashlib
import io
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from kerasdl.training.checkpoint_file import Damaged, OtherFormat, Snapshot, best_step, read, write
from kerasdl.training.checkpoints import Checkpoints, newest

ARRAYS = {
    "float16": np.array([[1.5, -0.0], [np.inf, np.nan]], np.float16),
    "float32": np.array([[np.float32(0.1), 1e-45, -np.inf]], np.float32),
    "float64": np.arange(600, dtype=np.float64).reshape(2, 3, 100) / 3,
    "int64": np.array([-(2**63), 2**63 - 1]),
    "uint32": np.array([0, 2**32 - 1], np.uint32),
    "bool": np.array([True, False]),
    "bfloat16": np.array([1.5, -2.0, 3e38], ml_dtypes.bfloat16),
    "scalar": np.array(7, np.int64),
    "bfloat16_scalar": np.array(0.5, ml_dtypes.bfloat16),
    "empty": np.zeros((0, 3), np.float32),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "strided": np.arange(10, dtype=np.float32)[::3],
    "text": np.array(["a", "bcd"]),
    "model/0003/kernel": np.ones((2, 2), np.float32),
}
VALUES = {"step": 860, "best": None, "epochs": {"loss": [0.1 + 0.2, float("inf")]}, "stop": False, "callbacks": []}


def snapshot(step=1, best_step=None, finite=("model/weights",), size=10):
    best = best_step and {"value": 0.5, "step": best_step}
    return Snapshot({"model/weights": np.full(size, step, np.float32)}, {"step": step, "best": best}, finite)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "step-0000000860.npz"
    write(path, Snapshot(ARRAYS, VALUES))
    return path


@pytest.fixture
def warnings(monkeypatch):
    """The lines that the user is warned with."""
    lines = []
    monkeypatch.setattr("kerasdl.training.checkpoints.warn", lines.append)
    return lines


def saved(folder, keep, *steps, best_step=None, **more):
    checkpoints = Checkpoints(folder, keep, **more)
    for step in steps:
        checkpoints.save(snapshot(step, best_step))
    checkpoints.wait()
    return checkpoints


def steps_of(folder):
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.npz"))


def test_what_was_written_comes_back_bit_for_bit(file):
    back = read(file)
    assert back.values == VALUES
    assert back.step == 860
    assert list(back.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert back.arrays[name].dtype == array.dtype, name
        assert back.arrays[name].shape == array.shape, name
        assert back.arrays[name].tobytes() == array.tobytes(), name


def test_numpy_opens_it(file):
    with np.load(file) as opened:
        for name in set(ARRAYS) - {"bfloat16", "bfloat16_scalar"}:
            np.testing.assert_array_equal(opened[name], ARRAYS[name], strict=True)
    assert zipfile.ZipFile(file).testzip() is None


def refused(path, content):
    """Returns whether a file of `content` is refused as damaged; anything else fails the test."""
    path.write_bytes(content)
    try:
        read(path)
    except Damaged:
        return True
    return False


def test_one_wrong_bit_anywhere_is_noticed(file):
    whole = file.read_bytes()
    size = len(whole)
    positions = {*range(0, size, max(1, size // 64)), *range(100), *range(size - 100, size)}
    for position in sorted(positions):
        for bit in (position % 8, (position + 3) % 8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            assert refused(file, flipped), (position, bit)
    file.write_bytes(whole)
    assert read(file).step == 860


def test_a_file_that_is_cut_off_or_too_long_is_noticed(file):
    whole = file.read_bytes()
    for length in {*range(0, len(whole), 97), *range(70), *range(len(whole) - 70, len(whole))}:
        assert refused(file, whole[:length]), length
    assert refused(file, whole + b"\0")
    assert refused(file, b"\0" * len(whole))
    assert refused(file, whole[:500] + bytes(500) + whole[1000:])  # a hole, as a crash of the machine leaves one


def sealed(path, members, comment=bytes(64)):
    """Writes a zip with a right digest: what someone could send who knows the format."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = comment
    content = buffer.getvalue()[:-64]
    path.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


STATE = json.dumps({"format": 1, "dtypes": {}, "step": 3})


class Bomb:
    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return open, (self.trace, "w")


def test_a_pickle_is_refused_and_not_run(tmp_path):
    path, trace, member = tmp_path / "step-0000000003.npz", tmp_path / "trace", io.BytesIO()
    np.lib.format.write_array(member, np.array([Bomb(trace)], dtype=object), allow_pickle=True)
    sealed(path, {"state.json": STATE, "x.npy": member.getvalue()})
    with pytest.raises(Damaged, match="Object arrays cannot be loaded"):
        read(path)
    sealed(path, {"state.json": STATE, "x.npy": pickle.dumps(Bomb(trace))})
    with pytest.raises(Damaged):
        read(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb(trace))).close()
    assert trace.exists()  # it would have done something


def test_sound_bytes_that_are_no_checkpoint_are_refused(tmp_path):
    path = tmp_path / "step-0000000003.npz"
    for members in (
        {},
        {"state.json": "{"},
        {"state.json": "[]"},
        {"state.json": '{"step": 3}'},
        {"state.json": STATE, "x.npy": b"\x93NUMPY\x01\x00"},
        {"state.json": STATE.replace("{}", '{"x": "float3"}'), "x.npy": b""},
        {"state.json": STATE.replace("{}", '{"x": "float32"}')},
    ):
        sealed(path, members)
        with pytest.raises(Damaged):
            read(path)
    path.write_bytes(b"x" * 100 + hashlib.sha256(b"x" * 100).hexdigest().encode())
    with pytest.raises(Damaged):
        read(path)


def other_format(path, sealed_otherwise=False):
    """Writes a checkpoint as a later version may: another format, and perhaps another place for its checksum."""
    sealed(path, {"state.json": STATE.replace('"format": 1', '"format": 2'), "x": b"new"})
    if sealed_otherwise:
        path.write_bytes(path.read_bytes()[:-64] + b"0" * 64)


@pytest.mark.parametrize("sealed_otherwise", [False, True])
def test_another_versions_checkpoint_is_refused_by_name_and_left_alone(tmp_path, warnings, sealed_otherwise):
    saved(tmp_path, 9, 1)
    saved(tmp_path, 9, 5)
    (tmp_path / "step-0000000005.npz").write_bytes(b"damaged")
    path = tmp_path / "step-0000000003.npz"
    other_format(path, sealed_otherwise)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for reading in (lambda: read(path), lambda: newest(tmp_path), Checkpoints(tmp_path, 1).newest):
        with pytest.raises(OtherFormat, match=rf"checkpoint {path} has format 2, .* reads format 1\. Use the version"):
            reading()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_who_only_reads_changes_nothing(tmp_path, warnings):
    saved(tmp_path, 9, 10, 20)
    path = tmp_path / "step-0000000020.npz"
    path.write_bytes(path.read_bytes()[:-1])
    snapshot, damaged = newest(tmp_path)
    assert (snapshot.step, damaged) == (10, [path])
    assert steps_of(tmp_path) == [10, 20]
    assert len(warnings) == 1


def test_a_missing_file_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "step-0000000001.npz")


def test_the_newest_is_the_last_step_and_not_the_last_file(tmp_path, warnings):
    assert Checkpoints(tmp_path, 2).newest() is None
    saved(tmp_path, 9, 10, 9_999_999_999, 200)
    (tmp_path / "step-other.npz").touch()
    (tmp_path / "step-0000000300.npz.bak").touch()
    assert Checkpoints(tmp_path, 2).newest().step == 9_999_999_999
    assert warnings == []


def test_a_damaged_one_is_named_put_aside_and_the_one_before_taken(tmp_path, warnings):
    saved(tmp_path, 9, 10, 20, 30, 40)
    for step in (30, 40):
        path = tmp_path / f"step-{step:010d}.npz"
        path.write_bytes(path.read_bytes()[:-1])
    assert Checkpoints(tmp_path, 2).newest().step == 20
    assert [str(tmp_path / f"step-{step:010d}.npz") in line for step, line in zip((40, 30), warnings, strict=True)] == [
        True,
        True,
    ]
    assert all("its checksum is wrong" in line and "going back to the one before" in line for line in warnings)
    assert sorted(path.name for path in tmp_path.glob("*.damaged")) == [
        "step-0000000030.npz.damaged",
        "step-0000000040.npz.damaged",
    ]
    warnings.clear()
    assert Checkpoints(tmp_path, 2).newest().step == 20
    assert warnings == []


def test_a_damaged_one_does_not_count_as_one_of_the_last(tmp_path, warnings):
    saved(tmp_path, 2, 10, 20)
    (tmp_path / "step-0000000020.npz").write_bytes(b"")
    checkpoints = Checkpoints(tmp_path, 2)
    assert checkpoints.newest().step == 10
    checkpoints.save(snapshot(15))
    checkpoints.wait()
    assert steps_of(tmp_path) == [10, 15]


def test_a_discarded_one_is_kept_under_another_name_and_not_found(tmp_path, warnings):
    checkpoints = saved(tmp_path, 9, 10, 20)
    checkpoints.discard(20)
    assert checkpoints.newest().step == 10
    assert read(tmp_path / "step-0000000020.npz.diverged").step == 20
    assert warnings == []


def test_if_all_are_damaged_there_is_none(tmp_path, warnings):
    saved(tmp_path, 9, 1, 2, 3)
    for path in tmp_path.glob("step-*.npz"):
        path.write_bytes(b"\0" * path.stat().st_size)
    assert Checkpoints(tmp_path, 2).newest() is None
    assert len(warnings) == 3


def test_a_crafted_one_is_put_aside_like_a_damaged_one(tmp_path, warnings):
    saved(tmp_path, 9, 1)
    sealed(tmp_path / "step-0000000003.npz", {"state.json": STATE, "x.npy": b"no array"})
    assert Checkpoints(tmp_path, 2).newest().step == 1
    assert "step-0000000003.npz can't be used" in warnings[0]


@pytest.mark.parametrize(("keep", "kept"), [(1, [3, 7]), (2, [3, 6, 7]), (3, [3, 5, 6, 7]), (9, [1, 2, 3, 4, 5, 6, 7])])
def test_the_last_ones_and_the_best_stay(tmp_path, keep, kept):
    saved(tmp_path, keep, 1, 2, 3, 4, 5, 6, 7, best_step=3)
    assert steps_of(tmp_path) == kept


def test_a_best_that_is_no_longer_the_best_goes(tmp_path):
    saved(tmp_path, 1, 1, 2, 3, best_step=1)
    assert steps_of(tmp_path) == [1, 3]
    saved(tmp_path, 1, 4, best_step=3)
    assert steps_of(tmp_path) == [3, 4]
    saved(tmp_path, 1, 5)
    assert steps_of(tmp_path) == [5]


def test_each_of_the_last_keeps_the_one_that_it_takes_for_the_best(tmp_path):
    """Training may have to go back to it, when the last one turns out to be damaged or to diverge."""
    saved(tmp_path, 2, 1, 2, 3, best_step=1)
    saved(tmp_path, 2, 4, best_step=4)  # another process, which has to look what step 3 says
    assert steps_of(tmp_path) == [1, 3, 4]
    saved(tmp_path, 2, 5, best_step=4)
    assert steps_of(tmp_path) == [4, 5]


def test_a_best_that_is_not_a_number_is_none(tmp_path):
    checkpoints = saved(tmp_path, 1, 1)
    first = snapshot(2, best_step=2)
    first.values["best"]["value"] = math.nan  # as earlier versions wrote it
    checkpoints.save(first)
    checkpoints.save(snapshot(3, best_step=None))
    checkpoints.wait()
    assert steps_of(tmp_path) == [3]
    assert best_step(first.values) is None


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    left = tmp_path / ".step-0000000001.npz.abcd1234.tmp"
    left.write_bytes(b"half")
    other = tmp_path / "notes.tmp"
    other.touch()
    saved(tmp_path, 1, 2)
    assert not left.exists()
    assert other.exists()
    assert steps_of(tmp_path) == [2]


def test_saving_returns_before_the_file_is_written_and_the_next_save_waits(tmp_path):
    began, go_on, seen = threading.Event(), threading.Event(), []

    def before():
        began.set()
        assert go_on.wait(60)
        seen.append((threading.current_thread().name, steps_of(tmp_path)))

    checkpoints = Checkpoints(tmp_path, 9, before)
    checkpoints.save(snapshot(1))  # would hang if it waited
    assert began.wait(60)
    assert steps_of(tmp_path) == []
    second = threading.Thread(target=checkpoints.save, args=(snapshot(2),))
    second.start()
    second.join(0.1)
    assert second.is_alive()  # the first is still being written
    assert seen == []
    go_on.set()
    second.join(60)
    checkpoints.wait()
    # `before` ran on the writing thread, and each file took its place behind it.
    assert seen == [("kerasdl-checkpoint_0", []), ("kerasdl-checkpoint_0", [1])]
    assert steps_of(tmp_path) == [1, 2]


def test_newest_waits_for_what_is_being_written(tmp_path):
    began, go_on = threading.Event(), threading.Event()

    def before():
        began.set()
        assert go_on.wait(60)

    checkpoints = Checkpoints(tmp_path, 2, before)
    checkpoints.save(snapshot(1))
    assert began.wait(60)
    threading.Timer(0.05, go_on.set).start()
    assert checkpoints.newest().step == 1


def test_nothing_is_written_if_what_it_counts_on_is_not_on_disk(tmp_path, warnings):
    def full():
        raise OSError(28, "No space left on device")

    checkpoints = saved(tmp_path, 2, 1, before=full)
    assert steps_of(tmp_path) == []
    assert checkpoints.error.errno == 28
    assert "the checkpoint at step 1 can't be written to" in warnings[0]
    assert "(No space left on device); training continues" in warnings[0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, warnings, wrong):
    checkpoints = saved(tmp_path, 1, 1)
    broken = snapshot(2)
    broken.arrays["model/weights"][3] = wrong
    checkpoints.save(broken)
    checkpoints.wait()
    assert steps_of(tmp_path) == [1]
    assert warnings == ["no checkpoint at step 2: some weights aren't finite."]
    assert checkpoints.error is None
    may_be = Snapshot({**snapshot(3).arrays, "callbacks/0/best": np.array([wrong])}, {"step": 3}, ("model/weights",))
    checkpoints.save(may_be)
    checkpoints.wait()
    assert steps_of(tmp_path) == [3]


def test_a_folder_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path, warnings):
    blocked = tmp_path / "runs"
    blocked.touch()  # root may write anywhere but below a file
    checkpoints = Checkpoints(blocked / "checkpoints", 2)
    for step in (1, 2, 3):
        checkpoints.save(snapshot(step))
    checkpoints.wait()
    assert isinstance(checkpoints.error, NotADirectoryError)
    assert len(warnings) == 1
    assert f"the checkpoint at step 1 can't be written to {blocked / 'checkpoints'} (Not a directory)" in warnings[0]
    blocked.unlink()
    (blocked / "checkpoints").mkdir(parents=True)
    checkpoints.save(snapshot(4))
    checkpoints.wait()
    assert checkpoints.error is None
    assert steps_of(blocked / "checkpoints") == [4]
    assert len(warnings) == 1


def test_a_state_that_can_not_be_written_is_a_defect_and_no_silence(tmp_path):
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.save(Snapshot({}, {"step": 1, "callbacks": object()}))
    with pytest.raises(TypeError, match="not JSON serializable"):
        checkpoints.wait()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def read_only():
    """Gives a folder, and a way to make it read-only; root, who may write anywhere, becomes nobody for that time."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to nobody

    @contextlib.contextmanager
    def protected():
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)
            folder.chmod(0o755)

    yield folder, protected
    shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no users as POSIX knows them")
def test_a_read_only_folder_keeps_what_it_has(read_only, warnings):
    folder, protected = read_only
    checkpoints = saved(folder, 1, 1)
    with protected():
        checkpoints.save(snapshot(2))
        checkpoints.wait()
    assert isinstance(checkpoints.error, PermissionError)
    assert checkpoints.newest().step == 1
    assert len(warnings) == 1


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from kerasdl.training import checkpoints as module
from kerasdl.training.checkpoint_file import Snapshot
from kerasdl.training.checkpoints import Checkpoints

warnings = []
module.warn = warnings.append
folder = Path(sys.argv[1])
checkpoints = Checkpoints(folder, 1)

def save(step, size=200_000):
    checkpoints.save(Snapshot({"model/weights": np.full(size, step, np.float32)}, {"step": step}))
    checkpoints.wait()
    return checkpoints.error

assert save(1) is None
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for limit in (0, 1, 30, 1000, 100_000, 800_000):  # in the state, in a header, in an array, in the directory at the end
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    assert isinstance(save(2), OSError), limit
    assert [path.name for path in folder.iterdir()] == ["step-0000000001.npz"], limit
    assert checkpoints.newest().step == 1
    assert checkpoints.newest().arrays["model/weights"][-1] == 1
    assert len(warnings) == 1, warnings
assert "the checkpoint at step 2 can't be written to" in warnings[0], warnings
assert "training continues, and earlier checkpoints are intact" in warnings[0], warnings
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert save(3) is None
assert [path.name for path in folder.iterdir()] == ["step-0000000003.npz"]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
assert save(4) is not None
assert len(warnings) == 2, warnings  # it had been possible in between
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_full_disk_costs_no_earlier_checkpoint(tmp_path):
    root = str(Path(__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr) == ("done\n", "")
