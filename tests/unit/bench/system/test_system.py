"""Tests of Ctrl-C while the system under test is being started."""

from __future__ import annotations

import signal

import pytest

from bench.system.system import free_ports, interrupts_held


def test_ctrl_c_waits_until_the_process_is_started() -> None:
    started = []
    before = signal.getsignal(signal.SIGINT)

    def start() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            started.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started
    assert signal.getsignal(signal.SIGINT) is before


def test_without_ctrl_c_nothing_is_raised() -> None:
    with interrupts_held():
        pass


def test_another_error_is_raised_before_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGINT)

    def fail() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        fail()
    assert signal.getsignal(signal.SIGINT) is before


def test_no_port_is_given_twice_although_nothing_listens_yet() -> None:
    ports = [port for _ in range(20) for port in free_ports(10)]
    assert len(ports) == len(set(ports)) == 200


def test_ports_never_run_out_in_a_process_that_starts_many_systems() -> None:
    assert {len(free_ports(10)) for _ in range(300)} == {10}
