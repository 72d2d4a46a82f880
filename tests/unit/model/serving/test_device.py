"""Which device a worker gets."""

from __future__ import annotations

import pytest
import torch

from model.serving import device, metal
from model.serving.device import Device, choose


@pytest.mark.parametrize(
    ("name", "worker", "expected"),
    [
        ("cuda", 0, "cuda:0"),
        ("cuda", 5, "cuda:1"),  # of four
        ("cuda:3", 1, "cuda:3"),
        ("cpu", 1, "cpu"),
    ],
)
def test_workers_are_dealt_the_gpus_in_turn(
    name: str, worker: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    tried: list[str] = []
    monkeypatch.setattr(device, "try_out", lambda found: tried.append(str(found)))
    monkeypatch.setattr(device, "_KINDS", {"cpu": Device, "cuda": Device})
    assert str(choose(name, worker)) == expected
    assert tried == [expected]


def test_auto_takes_the_next_best_where_one_fails_its_trial(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert str(choose("auto")) == "cpu"
    assert "device cuda:0 can't be used" in caplog.text


def test_both_of_metals_marks_are_set_and_in_order() -> None:
    found = metal.environment(0.5)
    low, high = (found[f"PYTORCH_MPS_{mark}_WATERMARK_RATIO"] for mark in ("LOW", "HIGH"))
    assert 0 < float(low) < float(high) == 0.5
    assert found["PYTORCH_ENABLE_MPS_FALLBACK"] == "1"


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 30 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] can't allocate memory: 9 bytes"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_says_that_memory_is_full_is_told_apart(error: Exception, full: bool) -> None:
    assert Device(torch.device("cpu")).is_full(error) is full


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_cpu_has_no_memory_of_its_own() -> None:
    assert choose("auto").memory() is None
