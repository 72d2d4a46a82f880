"""Tests that printing never fails, and that Ctrl-C is raised once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.native.terminal import STOP_SIGNALS, StopSignal, say


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under `nohup`
        yield StopSignal()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_printing_ignores_an_ended_or_stuck_reader_and_a_full_disk() -> None:
    reader, writer = os.pipe()
    while True:  # until the pipe is full
        os.set_blocking(writer, False)
        try:
            os.write(writer, bytes(4096))
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    say("nobody reads this", writer)
    os.close(reader)
    say("nobody can read this", writer)
    os.close(writer)
    say("this goes nowhere", writer)
    if Path("/dev/full").exists():
        full = os.open("/dev/full", os.O_WRONLY)
        say("there is no room for this", full)
        os.close(full)


def test_printing_a_long_text_stops_with_its_reader() -> None:
    reader, writer = os.pipe()
    text = "x" * 1_000_000
    printing = threading.Thread(target=say, args=(text, writer), daemon=True)
    try:
        printing.start()
        printing.join(10)
        assert not printing.is_alive()
        assert os.read(reader, len(text)), "it printed what there was room for"
    finally:
        os.close(reader)
        printing.join(10)
        os.close(writer)


def test_a_long_text_is_printed_whole_to_a_reader_that_reads() -> None:
    reader, writer = os.pipe()
    text = "x" * 1_000_000
    printing = threading.Thread(target=say, args=(text, writer), daemon=True)
    with os.fdopen(reader, "rb") as read:
        printing.start()
        assert read.read(len(text) + 1).decode() == f"{text}\n"
    printing.join(10)
    os.close(writer)


def test_ctrl_c_is_raised_once_and_remembered(stop: StopSignal) -> None:
    stop.check()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)  # the signal must not interrupt the end
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        stop.check()  # a library may have caught the exception


def test_ctrl_c_waits_for_a_block_that_starts_a_process(stop: StopSignal) -> None:
    with stop.held():
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        stop.check()


def test_a_hangup_that_is_ignored_stays_ignored(stop: StopSignal) -> None:
    signal.raise_signal(signal.SIGHUP)
    stop.check()
