"""Plans of forward passes: order, padding, limits and cost."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from model.serving.device import Device
from model.serving.passes import Pass, SequencePlanner, TextPlanner
from model.types import Encoded, Padded
from tests.devices import FakeGPU
from tests.models import Letters, Vowels

GPU, CPU = FakeGPU(), Device(torch.device("cpu"))
MODEL = Letters()


def planner(device: Device) -> SequencePlanner:
    return SequencePlanner(MODEL.encode, MODEL.grid, device)


def texts(*sizes: int) -> list[str]:
    return [chr(ord("a") + n % 26) * size for n, size in enumerate(sizes)]


def many(count: int) -> list[str]:
    chance = random.Random(0)
    return texts(*(chance.randint(1, 32) for _ in range(count)))


def batch(planned: Pass) -> Padded:
    made: Padded = planned.batch()
    return made


@pytest.mark.parametrize("device", [GPU, CPU])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 9, 100])
@pytest.mark.parametrize("max_cells", [1, 32, 100, 256])
def test_every_text_is_in_exactly_one_pass_unchanged(
    device: Device, count: int, max_cells: int
) -> None:
    given = many(count)
    found: dict[int, str] = {}
    for planned in planner(device).plan(given, max_cells):
        made = batch(planned)
        assert made.tokens.shape[0] == made.lengths.shape[0] == planned.rows
        for row, index in enumerate(planned.indices):
            assert index not in found
            length = int(made.lengths[row])
            found[index] = "".join(map(chr, made.tokens[row, :length].tolist()))
            assert not made.tokens[row, length:].any()
    assert found == dict(enumerate(given))


@pytest.mark.parametrize("device", [GPU, CPU])
@pytest.mark.parametrize("max_cells", [1, 8, 40, 256])
def test_pass_above_the_limit_holds_a_single_text(device: Device, max_cells: int) -> None:
    for planned in planner(device).plan(many(100), max_cells):
        assert planned.cells <= max_cells or len(planned.indices) == 1
        assert planned.cells == batch(planned).tokens.numel()


def test_gpu_gets_only_shapes_of_the_warm_up() -> None:
    warm = {batch(planned).tokens.shape for planned in planner(GPU).warm_up(256)}
    assert warm == {
        (rows, length)
        for rows in MODEL.grid.messages
        for length in MODEL.grid.lengths
        if rows * length <= 256
    }
    for count in range(1, 60):
        for planned in planner(GPU).plan(many(count), 256):
            assert batch(planned).tokens.shape in warm


def test_cpu_pads_only_to_the_longest_text() -> None:
    [planned] = planner(CPU).plan(texts(3, 5, 4), 100)
    assert list(planned.indices) == [1, 2, 0]
    assert (planned.cells, planned.filled) == (15, 12)


def test_texts_of_similar_length_share_a_pass() -> None:
    found = list(planner(CPU).plan(texts(30, 2, 29, 2, 30, 2), 96))
    assert [sorted(planned.indices) for planned in found] == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(("pass_cells", "expected"), [(10, [2 * 32, 2 * 8]), (1000, [4 * 32])])
def test_batch_is_cut_only_when_this_saves_more_padding_than_a_pass_costs(
    pass_cells: int, expected: list[int]
) -> None:
    gpu = FakeGPU()
    gpu.pass_cells = pass_cells
    found = planner(gpu).plan(texts(30, 30, 4, 4), 256)
    assert [planned.cells for planned in found] == expected


@pytest.mark.parametrize("device", [GPU, CPU])
@pytest.mark.parametrize("count", range(1, 8))
def test_no_other_plan_costs_less(device: Device, count: int) -> None:
    """Compares the plan with every way to cut the sorted texts into passes."""
    given = sorted((len(text) for text in many(count)), reverse=True)
    rows_of = MODEL.grid.messages if device.pads else range(1, count + 1)

    def cheapest(remaining: list[int]) -> int:
        if not remaining:
            return 0
        grid = MODEL.grid.lengths if device.pads else (remaining[0],)
        length = next(length for length in grid if length >= remaining[0])
        return min(
            rows * length + device.pass_cells + cheapest(remaining[rows:])
            for rows in rows_of
            if rows * length <= 64 and (device.pads or rows <= len(remaining))
        )

    found = list(planner(device).plan(texts(*given), 64))
    assert sum(planned.cells + device.pass_cells for planned in found) == cheapest(given)


def test_padding_is_zero_and_counted() -> None:
    [planned] = planner(GPU).plan(texts(8, 7, 6), 256)
    made = batch(planned)
    assert made.tokens.shape == (4, 8)
    assert made.lengths.tolist() == [8, 7, 6, 1]
    assert (planned.cells, planned.filled, len(planned.indices)) == (32, 21, 3)


def test_features_stay_with_their_text() -> None:
    def encode(given: Sequence[str]) -> Encoded:
        sizes = np.array([len(text) for text in given], np.float32)
        return MODEL.encode(given)._replace(features=sizes[:, None])

    for planned in SequencePlanner(encode, MODEL.grid, GPU).plan(many(30), 64):
        made = batch(planned)
        inside = len(planned.indices)
        assert made.features[:inside, 0].tolist() == made.lengths[:inside].tolist()


@pytest.mark.parametrize("sizes", [[0], [33], [4]])
def test_wrong_number_or_length_of_sequences_is_refused(sizes: list[int]) -> None:
    def encode(given: Sequence[str]) -> Encoded:
        tokens = np.zeros(sum(sizes), np.int64)
        return Encoded(tokens, np.r_[0, np.cumsum(sizes)], np.zeros((1, 0), np.float32))

    given = ["a"] if sizes != [4] else ["a", "b"]
    with pytest.raises(ValueError, match="encode gave"):
        list(SequencePlanner(encode, MODEL.grid, GPU).plan(given, 64))


def test_text_planner_keeps_the_order_and_the_limits() -> None:
    model = Vowels()
    model.load(torch.device("cpu"))
    found = list(TextPlanner(model).plan(["aeiou"] * 40, 12))
    assert [list(planned.indices) for planned in found][:2] == [
        list(range(12)),
        list(range(12, 24)),
    ]
    assert [planned.cells for planned in found] == [12, 12, 12, 4]
    assert [planned.cells for planned in TextPlanner(model).plan(["a"] * 40, 1000)] == [16, 16, 8]
