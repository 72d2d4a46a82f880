"""Fine-tuning: the encoder's last layers, and a head upon them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from model.ngram.fit import class_weights
from model.serving.device import Device
from model.serving.passes import padded
from model.transformer import encoder
from model.transformer.encoder import Encoder
from model.transformer.head import Head
from model.types import Encoded

#: All numbers below were chosen on the tuning fold of the presidents' messages.
EPOCHS = 2
#: Small data gets more epochs, as with the n-grams.
LEAST_STEPS = 100
BATCH = 32
LEARNING_RATE, HEAD_RATE = 5e-5, 1e-4
#: Share of the steps over which the rate rises; then it falls to 0.
WARM_UP = 0.06
DECAY = 0.01
#: Largest norm of a step's gradient.
CLIP = 1.0
DROPOUT = 0.1
#: Batches that are cut from one stretch of the shuffled texts, sorted by length: little padding.
STRETCH = 32
#: Side of the matrices, and how many, by which bf16 is timed.
TRIAL_SIDE, TRIALS = 512, 20

Progress = Callable[[float], None]


def fit(
    encoded: Encoded,
    labels: NDArray[np.int64],
    start: Head,
    layers: int,
    seed: int,
    device: Device,
    bf16: bool,
    progress: Progress,
) -> tuple[Encoder, Head]:
    """Minimise the balanced cross-entropy with AdamW; return encoder and head, on the CPU.

    ``start`` is the head for the encoder as it comes. The encoder's first layers stay as they are;
    ``layers`` is the number of those that learn, ``bf16`` has the matrix products in it.
    ``progress`` is told the share of the steps done after each.
    """
    torch.manual_seed(seed)
    model = encoder.load().to(device.torch).train()
    mean, deviation, weight, bias = (device.upload(tensor).clone() for tensor in start)
    learning = [p.requires_grad_() for layer in model.layers[-layers:] for p in layer.parameters()]
    linear = [weight.requires_grad_(), bias.requires_grad_()]
    groups = [
        {"params": learning, "lr": LEARNING_RATE},
        {"params": linear, "lr": HEAD_RATE},
    ]
    adam = torch.optim.AdamW(groups, weight_decay=DECAY, fused=True)
    weights = class_weights(labels, len(bias)).to(device.torch)
    batches = list(_batches(np.diff(encoded.offsets), seed))
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _rate(step / len(batches)))
    for step, chosen in enumerate(batches):
        shape = len(chosen), int(np.diff(encoded.offsets)[chosen].max())
        tokens, lengths, _ = map(torch.from_numpy, padded(encoded, chosen, shape))
        with torch.autocast(device.torch.type, torch.bfloat16, enabled=bf16):
            vectors = _vectors(model, device.upload(tokens), device.upload(lengths), layers)
        standard = functional.dropout((vectors - mean) / deviation, DROPOUT)
        target = device.upload(torch.from_numpy(labels[chosen]))
        logits = functional.linear(standard, weight, bias)
        losses = functional.cross_entropy(logits, target, reduction="none")
        adam.zero_grad()
        (weights[target] * losses).mean().backward()
        nn.utils.clip_grad_norm_([*learning, *linear], CLIP)
        adam.step()
        schedule.step()
        progress((step + 1) / len(batches))
    for layer in model.layers[-layers:]:
        layer.half().float()  # as they are stored, so that what is measured is what is served
    head = Head(*(tensor.detach().cpu() for tensor in (mean, deviation, weight, bias)))
    return model.cpu().eval().requires_grad_(False), head


def _vectors(
    model: Encoder, tokens: torch.Tensor, lengths: torch.Tensor, layers: int
) -> torch.Tensor:
    """As ``model`` computes them, but without a gradient for the layers that do not learn."""
    share = encoder.shares(lengths, tokens.shape[1])
    states = model.states(tokens, lengths)
    with torch.no_grad():
        means = [encoder.pool(next(states), share) for _ in range(1 + len(model.layers) - layers)]
    return torch.cat([*means, *(encoder.pool(x, share) for x in states)], 1)


def _batches(sizes: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the texts of each step, of like length, in another order in each epoch."""
    chance = np.random.default_rng(seed)
    an_epoch = -(-len(sizes) // BATCH)
    for _ in range(max(EPOCHS, -(-LEAST_STEPS // an_epoch))):
        order = chance.permutation(len(sizes))
        batches = []
        for start in range(0, len(order), BATCH * STRETCH):
            stretch = order[start : start + BATCH * STRETCH]
            stretch = stretch[np.argsort(sizes[stretch], kind="stable")]
            batches += [stretch[at : at + BATCH] for at in range(0, len(stretch), BATCH)]
        yield from (batches[number] for number in chance.permutation(len(batches)))


def _rate(done: float) -> float:
    return min(done / WARM_UP, 1 - done)


def bf16_pays(device: Device) -> bool:
    """Return whether the device multiplies faster in bf16: without a unit for it, it does not."""
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(TRIAL_SIDE, TRIAL_SIDE, dtype=dtype, device=device.torch)
        device.download(matrix @ matrix)()  # warms up
        began = time.perf_counter()
        for _ in range(TRIALS):
            product = matrix @ matrix
        device.download(product)()
        seconds.append(time.perf_counter() - began)
    return seconds[1] < seconds[0]
