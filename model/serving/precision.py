"""Half precision, and the test that a device has to pass before it is used."""

from __future__ import annotations

import random

import torch

from model.serving.device import Device, DeviceError
from model.serving.passes import Planner
from model.types import Padded, SequenceModel

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
#: Largest difference of a probability from its fp32 value. What rounding to 8 bits of mantissa
#: does to the encoder that comes with Byline stays below a third of it; a wrong kernel does not.
TOLERANCE = 0.05
#: Texts of the test, from a word to some two hundred.
TEXTS = 48
WORDS = (
    "the a of to and in that we our have has been which for with by this be should not it as from "
    "at will can I year time war peace law trade land work state nation people money school river "
    "great new last public just free old every good necessary, because, however. Therefore; But"
)


@torch.inference_mode()
def check(
    model: SequenceModel, planner: Planner, device: Device, precision: str, most: int
) -> None:
    """Load ``model``, which runs in fp32, in another precision, and compare the two.

    ``most`` is the largest pass, in tokens.

    Raises:
        DeviceError: the answers differ by more than :data:`TOLERANCE`, or are not finite.
    """
    try:
        exact = _probabilities(model, planner, device, most)
        model.load(device.torch, DTYPES[precision])
        rounded = _probabilities(model, planner, device, most)
    except RuntimeError as error:  # no such kernel, for instance
        raise DeviceError(f"{precision} can't be used on {device}: {error}") from error
    worst = (rounded - exact).abs().max().item()
    if not worst <= TOLERANCE:  # not a number is not below it
        raise DeviceError(
            f"{precision} can't be trusted on {device}: probabilities differ from those of fp32 "
            f"by up to {worst:.3g}, {TOLERANCE} is allowed"
        )


def _probabilities(
    model: SequenceModel, planner: Planner, device: Device, most: int
) -> torch.Tensor:
    """Return probabilities of the test's texts on the host, (texts, authors).

    From the tokens alone: features come from the host, and would speak for the device.
    """
    texts = _texts()
    answers = torch.zeros(len(texts), len(model.card.authors))
    for planned in planner.plan(texts, most):
        batch: Padded = planned.batch()
        blank = batch._replace(features=torch.zeros_like(batch.features))
        rows = model.forward(blank)[: len(planned.places)]
        answers[list(planned.places)] = device.download(rows)().float()
    return answers


def _texts() -> list[str]:
    """Texts of all lengths, the same at every start."""
    chance = random.Random(0)
    words = WORDS.split()
    return [" ".join(chance.choices(words, k=1 + 4 * number)) for number in range(TEXTS)]
