"""Signals that stop cleanly, and what is shown when the terminal is gone."""

import errno
import os
import signal

import pytest

from kerasdl.training import interrupts
from kerasdl.training.interrupts import Interrupts

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers():
    """The handlers of before, put back at the end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def command_line(monkeypatch):
    monkeypatch.setattr(Interrupts, "second", signal.SIG_DFL)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_asks_to_stop(number, handlers, capsys):
    with Interrupts("Stopping.") as stop:
        assert stop.requested is None
        send(number)
        assert stop.requested == number.name
    assert capsys.readouterr().err.startswith("\nStopping. ")
    assert {one: signal.getsignal(one) for one in SIGNALS} == handlers


def test_a_hangup_that_is_ignored_stays_ignored():
    """As by `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts() as stop:
        send(signal.SIGHUP)
    assert stop.requested is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_further_hangups_do_not_end_the_command_that_is_concluding(command_line):
    """The shell and the system send one each."""
    with Interrupts() as stop:
        send(signal.SIGHUP)
        send(signal.SIGHUP)
    send(signal.SIGHUP)
    assert stop.requested == "SIGHUP"


def test_the_command_line_has_the_systems_answers_again_if_no_signal_came(command_line, handlers):
    with Interrupts():
        pass
    assert {one: signal.getsignal(one) for one in SIGNALS} == handlers


def test_what_is_shown_on_a_terminal_that_is_gone_goes_nowhere(monkeypatch, tmp_path):
    """And into a file as before."""
    master, terminal = os.openpty()
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(interrupts, "_STANDARD_STREAMS", (terminal, file))
    with Interrupts():
        send(signal.SIGHUP)
        os.write(terminal, b"still there")
        assert os.read(master, 100) == b"still there"
        os.close(master)
        with pytest.raises(OSError) as caught:  # noqa: PT011  # its number is looked at
            os.write(terminal, b"gone")
        assert caught.value.errno == errno.EIO
        send(signal.SIGHUP)
        os.write(terminal, b"gone")
        os.write(file, b"kept")
    os.close(terminal)
    os.close(file)
    assert (tmp_path / "log").read_bytes() == b"kept"


def test_a_notice_that_cannot_be_shown_does_not_hinder_the_stop(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Interrupts() as stop:
        monkeypatch.setattr("builtins.print", refuse)
        send(signal.SIGTERM)
        assert stop.requested == "SIGTERM"
