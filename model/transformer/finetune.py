"""Fine-tunes the last layers of the encoder together with a linear head."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from model.linear.balance import class_weights
from model.serving.device import Device
from model.serving.passes import pad
from model.transformer import encoder
from model.transformer.encoder import Encoder
from model.transformer.head import Head
from model.types import Encoded

# The numbers from EPOCHS to DROPOUT were chosen on the tuning fold of the presidents' messages.
#: Number of times that the training reads all texts.
EPOCHS = 2
#: Smallest number of steps. With few texts, the training has more epochs.
MIN_STEPS = 100
#: Number of texts in a step.
BATCH = 32
#: Highest learning rate of the encoder's layers.
LEARNING_RATE = 5e-5
#: Highest learning rate of the head.
HEAD_LEARNING_RATE = 1e-4
#: Share of the steps over which the learning rate rises. After these steps it falls to 0.
WARM_UP = 0.06
#: Weight decay of AdamW.
DECAY = 0.01
#: Largest norm of a step's gradient.
CLIP = 1.0
#: Share of the vectors' numbers that a step drops.
DROPOUT = 0.1
#: The texts of this many batches are sorted by length together, which leaves little padding.
SORTED_BATCHES = 32
#: Side of the matrices that the timing of bf16 multiplies.
TIMING_SIDE = 512
#: Number of products in the timing of bf16.
TIMING_PRODUCTS = 20

#: A function that is called with the share of the steps that are done, 0 to 1.
OnProgress = Callable[[float], None]


def fit(
    encoded: Encoded,
    labels: NDArray[np.int64],
    initial_head: Head,
    layers: int,
    seed: int,
    device: Device,
    bf16: bool,
    on_progress: OnProgress,
) -> tuple[Encoder, Head]:
    """Fine-tunes the encoder's last ``layers`` layers and a head. Returns encoder and head.

    The training begins with the weights of the encoder's package, and with ``initial_head``, which
    must be fitted to these weights. If ``bf16`` is true, matrix products are computed in bf16. Both
    results are on the CPU.
    """
    torch.manual_seed(seed)
    model = encoder.load().to(device.torch).train()
    mean, deviation, weight, bias = (device.upload(tensor).clone() for tensor in initial_head)
    learning = [p.requires_grad_() for layer in model.layers[-layers:] for p in layer.parameters()]
    linear = [weight.requires_grad_(), bias.requires_grad_()]
    groups = [
        {"params": learning, "lr": LEARNING_RATE},
        {"params": linear, "lr": HEAD_LEARNING_RATE},
    ]
    adam = torch.optim.AdamW(groups, weight_decay=DECAY, fused=True)
    weights = class_weights(labels, len(bias)).to(device.torch)
    batches = list(_batches(np.diff(encoded.offsets), seed))
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _rate(step / len(batches)))
    for step, chosen in enumerate(batches):
        shape = len(chosen), int(np.diff(encoded.offsets)[chosen].max())
        tokens, lengths, _ = map(torch.from_numpy, pad(encoded, chosen, shape))
        with torch.autocast(device.torch.type, torch.bfloat16, enabled=bf16):
            vectors = _vectors(model, device.upload(tokens), device.upload(lengths), layers)
        standard = functional.dropout((vectors - mean) / deviation, DROPOUT)
        target = device.upload(torch.from_numpy(labels[chosen]))
        logits = functional.linear(standard, weight, bias)
        losses = functional.cross_entropy(logits, target, reduction="none")
        adam.zero_grad()
        (weights[target] * losses).mean().backward()  # the balanced cross-entropy
        nn.utils.clip_grad_norm_([*learning, *linear], CLIP)
        adam.step()
        schedule.step()
        on_progress((step + 1) / len(batches))
    for layer in model.layers[-layers:]:
        layer.half().float()  # Rounded as in the file, so that the metrics are those of serving.
    head = Head(*(tensor.detach().cpu() for tensor in (mean, deviation, weight, bias)))
    return model.cpu().eval().requires_grad_(False), head


def _vectors(
    model: Encoder, tokens: torch.Tensor, lengths: torch.Tensor, layers: int
) -> torch.Tensor:
    """Returns the encoder's vector of each text. Only the last ``layers`` layers get a gradient."""
    weights = encoder.mean_weights(lengths, tokens.shape[1])
    states = model.states(tokens, lengths)
    fixed = 1 + len(model.layers) - layers
    with torch.no_grad():
        means = [encoder.mean_pool(next(states), weights) for _ in range(fixed)]
    return torch.cat([*means, *(encoder.mean_pool(x, weights) for x in states)], 1)


def _batches(sizes: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.int64]]:
    """Yields the indices of the texts of each step of the training.

    ``sizes`` are the texts' numbers of tokens. The texts of a step have a similar length, and each
    epoch has another order.
    """
    generator = np.random.default_rng(seed)
    per_epoch = -(-len(sizes) // BATCH)
    together = BATCH * SORTED_BATCHES
    for _ in range(max(EPOCHS, -(-MIN_STEPS // per_epoch))):
        order = generator.permutation(len(sizes))
        batches = []
        for start in range(0, len(order), together):
            part = order[start : start + together]
            part = part[np.argsort(sizes[part], kind="stable")]
            batches += [part[at : at + BATCH] for at in range(0, len(part), BATCH)]
        yield from (batches[number] for number in generator.permutation(len(batches)))


def _rate(done: float) -> float:
    """Returns the factor of both learning rates in the next step, 0 to 1.

    ``done`` is the share of the training's steps that are done. The factor rises during the
    warm-up, and then falls to 0.
    """
    return min(done / WARM_UP, 1 - done)


def bf16_is_faster(device: Device) -> bool:
    """Measures and returns whether the device multiplies matrices faster in bf16 than in fp32.

    A device without hardware for bf16 is not faster in bf16.
    """
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(TIMING_SIDE, TIMING_SIDE, dtype=dtype, device=device.torch)
        device.download(matrix @ matrix)()  # The first product is slower.
        began = time.perf_counter()
        for _ in range(TIMING_PRODUCTS):
            product = matrix @ matrix
        device.download(product)()
        seconds.append(time.perf_counter() - began)
    return seconds[1] < seconds[0]
