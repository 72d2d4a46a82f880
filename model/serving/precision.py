"""Checks that a model gives nearly the same probabilities in half precision as in fp32."""

from __future__ import annotations

import random

import torch

from model.serving.device import Device, DeviceError
from model.serving.passes import Planner
from model.types import Padded, SequenceModel

#: torch's types, by the names that the setting ``BYLINE_PRECISION`` accepts.
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
#: Largest allowed difference of a probability from its fp32 value. Rounding to bf16's 8 bits moves
#: the probabilities of the encoder that comes with Byline by less than a third of this number; a
#: wrong kernel moves them by more than this number.
TOLERANCE = 0.05
#: Number of texts in the check. Their lengths are 1 to about 200 words.
TEXT_COUNT = 48
#: Words that the texts are made of.
WORDS = (
    "the a of to and in that we our have has been which for with by this be should not it as from "
    "at will can I year time war peace law trade land work state nation people money school river "
    "great new last public just free old every good necessary, because, however. Therefore; But"
)


@torch.inference_mode()
def check_precision(
    model: SequenceModel, planner: Planner, device: Device, precision: str, max_cells: int
) -> None:
    """Loads ``model`` again in ``precision``, and compares the probabilities with those in fp32.

    The caller must have loaded the model in fp32. A pass has at most ``max_cells`` tokens.

    Raises:
        DeviceError: the device can't run the model in ``precision``, or a probability differs by
            more than :data:`TOLERANCE` or is not finite.
    """
    try:
        exact = _probabilities(model, planner, device, max_cells)
        model.load(device.torch, DTYPES[precision])
        rounded = _probabilities(model, planner, device, max_cells)
    except RuntimeError as error:  # The device has no kernel for this type, for example.
        raise DeviceError(f"{precision} can't be used on {device}: {error}") from error
    worst = (rounded - exact).abs().max().item()
    if not worst <= TOLERANCE:  # NaN is refused too.
        raise DeviceError(
            f"{precision} can't be trusted on {device}: probabilities differ from those of fp32 "
            f"by up to {worst:.3g}, {TOLERANCE} is allowed"
        )


def _probabilities(
    model: SequenceModel, planner: Planner, device: Device, max_cells: int
) -> torch.Tensor:
    """Returns the model's probabilities for the check's texts, on the host: (texts, authors).

    All features of the texts are set to 0.
    """
    texts = _texts()
    probabilities = torch.zeros(len(texts), len(model.card.authors))
    for planned in planner.plan(texts, max_cells):
        batch: Padded = planned.batch()
        # The host computes the features. So they are right even if the device computes wrongly, and
        # could hide the device's errors.
        blank = batch._replace(features=torch.zeros_like(batch.features))
        rows = model.forward(blank)[: len(planned.indices)]
        probabilities[list(planned.indices)] = device.download(rows)().float()
    return probabilities


def _texts() -> list[str]:
    """Returns the texts of the check: 1 to about 200 random words, the same at every start."""
    generator = random.Random(0)
    words = WORDS.split()
    return [" ".join(generator.choices(words, k=1 + 4 * number)) for number in range(TEXT_COUNT)]
