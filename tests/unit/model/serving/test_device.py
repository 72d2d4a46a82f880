"""The choice of a device, its self-test, and errors that mean a full memory."""

from __future__ import annotations

import pytest
import torch

from model.serving import device
from model.serving.device import Device, DeviceError, choose, self_test


@pytest.mark.parametrize(
    ("name", "worker", "expected"),
    [
        ("cuda", 0, "cuda:0"),
        ("cuda", 5, "cuda:1"),  # of four
        ("cuda:3", 1, "cuda:3"),
        ("cpu", 1, "cpu"),
    ],
)
def test_workers_get_the_gpus_in_turn(
    name: str, worker: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    tested: list[str] = []
    monkeypatch.setattr(device, "self_test", lambda found: tested.append(str(found)))
    monkeypatch.setattr(device, "_KINDS", {"cpu": Device, "cuda": Device})
    assert str(choose(name, worker)) == expected
    assert tested == [expected]


def test_auto_takes_the_next_device_when_the_self_test_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert str(choose("auto")) == "cpu"
    assert "device cuda:0 can't be used" in caplog.text


def test_named_device_is_used_or_refused() -> None:
    assert choose("cpu").torch == torch.device("cpu")
    missing = "mps" if not torch.backends.mps.is_available() else "cuda:99"
    with pytest.raises(DeviceError, match=missing):
        choose(missing)


def test_device_with_a_wrong_product_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    product = torch.Tensor.__matmul__
    errors = iter([0.0, 1.0])  # The CPU's product is right, and the device's is wrong.
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: product(a, b) + next(errors))
    with pytest.raises(DeviceError, match="can't be trusted"):
        self_test(torch.device("cpu"))


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
def test_is_full_recognises_out_of_memory_errors_only(error: Exception, full: bool) -> None:
    assert Device(torch.device("cpu")).is_full(error) is full


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_memory_is_none_on_the_cpu() -> None:
    assert choose("auto").memory() is None
