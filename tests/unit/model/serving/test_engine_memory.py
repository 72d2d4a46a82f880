"""The engine on a fake GPU: memory that runs out, overlapping batches, and half precision."""

from __future__ import annotations

import logging
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from model.serving.device import Device, DeviceError
from model.serving.engine import Engine
from model.serving.placement import Placement
from model.serving.status import Status
from model.types import DeviceLost, ModelError, Padded
from tests.devices import FakeGPU
from tests.models import Letters, Vowels


def started(device: Device, model: Letters | None = None, **placement: int) -> Engine:
    engine = Engine(model or Letters(), Placement(**placement), lambda name, worker: device)
    engine.start()
    return engine


def texts(count: int) -> list[str]:
    chance = random.Random(0)
    return ["".join(chance.choices("aeiouxyz", k=chance.randint(1, 32))) for _ in range(count)]


def authors(engine: Engine, given: list[str]) -> list[str]:
    return [prediction.candidates[0].author for prediction in engine.predict(given)]


def expected(given: list[str]) -> list[str]:
    return authors(started(Device(torch.device("cpu"))), given)


def test_batch_that_does_not_fit_is_halved_and_loses_no_text() -> None:
    gpu = FakeGPU()
    engine = started(gpu)
    given = texts(100)
    assert engine.status.limit == 256
    gpu.room = 70  # Another process has taken the memory.
    assert authors(engine, given) == expected(given)
    assert engine.status.batch.halved >= 1
    assert gpu.released == engine.status.batch.halved


def test_lowered_limit_holds_for_later_batches() -> None:
    gpu = FakeGPU()
    engine = started(gpu)
    gpu.room = 70
    engine.predict(texts(100))
    assert engine.status.limit == 64
    gpu.shapes.clear()
    engine.predict(texts(100))
    assert engine.status.batch.halved == 0
    assert max(rows * length for rows, length in gpu.shapes) <= 64


def test_warm_up_finds_the_limit_before_the_first_message() -> None:
    engine = started(FakeGPU(memory=100))
    assert engine.status.limit == 64
    assert authors(engine, texts(50)) == expected(texts(50))
    assert engine.status.total.halved == 0


def test_single_message_that_does_not_fit_fails_and_keeps_the_limit() -> None:
    gpu = FakeGPU()
    engine = started(gpu)
    gpu.room = 0
    with pytest.raises(ModelError, match="one message does not fit the memory of fake GPU"):
        engine.predict(["a"])
    assert engine.status.limit == 256
    gpu.room = 1000
    assert authors(engine, ["aeiou"]) == ["vowels"]


def test_start_fails_on_a_device_without_memory_for_one_message() -> None:
    with pytest.raises(ModelError, match="does not fit"):
        started(FakeGPU(memory=1))


def test_running_out_of_memory_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    gpu = FakeGPU()
    engine = started(gpu)
    gpu.room = 130
    with caplog.at_level(logging.WARNING):
        engine.predict(texts(100))
        engine.predict(texts(100))
    [record] = caplog.records
    assert record.getMessage() == (
        "fake GPU has no memory for a pass of 256 cells: from now on 128 at most"
    )


def test_out_of_memory_in_the_forward_pass_halves_the_batch() -> None:
    class Hungry(Letters):
        hungry = False

        def forward(self, batch: Padded) -> torch.Tensor:
            if self.hungry and batch.tokens.numel() > 64:
                raise RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")
            return super().forward(batch)

    model = Hungry()
    engine = started(FakeGPU(), model)
    model.hungry = True
    assert authors(engine, texts(60)) == expected(texts(60))
    assert engine.status.limit == 64


def test_other_error_does_not_lower_the_limit() -> None:
    engine = started(FakeGPU())
    with pytest.raises(ModelError, match="ValueError"):
        engine.predict(["fine", "POISON secret"])
    assert engine.status.limit == 256


def test_out_of_memory_halves_the_batch_of_a_text_model() -> None:
    class Large(Vowels):
        room = 16

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            if len(batch) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(batch)

    model = Large()
    engine = Engine(model, Placement("cpu"))
    engine.start()
    model.room = 5
    given = ["aeiou", "xyz"] * 16
    assert authors(engine, given) == ["vowels", "consonants"] * 16
    assert engine.status.limit == 4


def test_two_launched_batches_are_collected_in_any_order() -> None:
    gpu = FakeGPU(overlaps=True)
    engine = started(gpu)
    assert engine.overlaps
    first, second = engine.launch(texts(20)), engine.launch(["aeiou"])
    assert gpu.pending == len(first.downloads) + len(second.downloads)
    assert [p.candidates[0].author for p in engine.collect(second)] == ["vowels"]
    assert [p.candidates[0].author for p in engine.collect(first)] == expected(texts(20))
    assert gpu.pending == 0


def test_status_shows_padding_and_memory_to_other_threads() -> None:
    gpu = FakeGPU()
    engine = started(gpu)
    engine.predict(["abcdefgh", "abcdefg", "abcdef"])
    with ThreadPoolExecutor(1) as pool:
        status: Status = pool.submit(lambda: engine.status).result()
    assert (status.batch.messages, status.batch.passes) == (3, 1)
    assert status.batch.padding == pytest.approx(1 - 21 / 32)
    assert status.memory is not None
    assert status.memory.limit == gpu.room
    engine.predict(["abcdefgh"])
    assert engine.status.total.messages == 4
    assert engine.status.batch.padding == 0


def test_launch_and_collect_from_another_thread_are_refused() -> None:
    engine = started(FakeGPU())
    launched = engine.launch(["hello"])
    with ThreadPoolExecutor(1) as pool:
        for call in (lambda: engine.launch(["a"]), lambda: engine.collect(launched)):
            with pytest.raises(RuntimeError, match="another thread"):
                pool.submit(call).result()
    assert len(engine.collect(launched)) == 1


def test_workers_of_a_sequence_model_share_the_cores() -> None:
    before = torch.get_num_threads()
    try:
        started(FakeGPU(), threads=3)
        assert torch.get_num_threads() == 3
        started(FakeGPU(), workers=64)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_half_precision_is_used_when_its_probabilities_agree(
    precision: str, dtype: torch.dtype
) -> None:
    model = Letters()
    engine = Engine(model, Placement(precision=precision), lambda name, worker: FakeGPU())
    engine.start()
    assert model.dtype == dtype
    assert str(engine) == f"fake GPU, {precision}"
    assert engine.version == f"letters-1-{precision}"


@pytest.mark.parametrize("error", [RuntimeError("no such kernel"), torch.OutOfMemoryError("full")])
def test_half_precision_is_refused_when_the_device_raises(error: Exception) -> None:
    class Lacks(Letters):
        def forward(self, batch: Padded) -> torch.Tensor:
            if self.dtype != torch.float32:
                raise error
            return super().forward(batch)

    engine = Engine(Lacks(), Placement(precision="fp16"), lambda name, worker: FakeGPU())
    with pytest.raises(DeviceError, match="fp16 can't be used on fake GPU"):
        engine.start()


def test_accelerator_error_raises_device_lost() -> None:
    class Breaks(Letters):
        broken = False

        def forward(self, batch: Padded) -> torch.Tensor:
            if self.broken:
                raise torch.AcceleratorError("CUDA error: illegal memory access\nmore")
            return super().forward(batch)

    model = Breaks()
    engine = started(FakeGPU(), model)
    model.broken = True
    with pytest.raises(DeviceLost, match=r"failed: CUDA error: illegal memory access$"):
        engine.launch(["a"])


def test_start_fails_when_a_shape_returns_nan() -> None:
    class Nonsense(Letters):
        def forward(self, batch: Padded) -> torch.Tensor:
            return super().forward(batch) * (torch.nan if len(batch.tokens) == 8 else 1)

    with pytest.raises(ModelError, match="not finite"):
        started(FakeGPU(), Nonsense())


def test_half_precision_is_refused_when_its_probabilities_differ() -> None:
    class Rounds(Letters):
        def forward(self, batch: Padded) -> torch.Tensor:
            exact = super().forward(batch)
            return exact if self.dtype == torch.float32 else exact.round()

    engine = Engine(Rounds(), Placement(precision="bf16"), lambda name, worker: FakeGPU())
    with pytest.raises(DeviceError, match="bf16 can't be trusted on fake GPU"):
        engine.start()


def test_text_model_is_refused_in_half_precision() -> None:
    with pytest.raises(DeviceError, match="fp32 only"):
        Engine(Vowels(), Placement("cpu", precision="bf16")).start()
