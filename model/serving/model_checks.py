"""Checks a model before it serves: its members, its card, its batch shapes, and its tokens.

A worker and ``python -m model.check`` run these checks. Each error's text says what is wrong and
what to do. :mod:`model.serving.output_checks` checks what ``forward`` returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import msgspec
import numpy as np

from model.types import Bucket, Encoded, Grid, ModelCard, ModelRefused

#: Members of a :class:`~model.types.Model`.
TEXT_MEMBERS = ("card", "buckets", "load", "prepare", "forward")
#: Members of a :class:`~model.types.SequenceModel`.
SEQUENCE_MEMBERS = ("card", "grid", "load", "encode", "forward")
#: The members that are no methods.
VALUES = ("card", "buckets", "grid")


def check_model(model: Any) -> None:
    """Checks a model's attributes and methods, its card, and its batch shapes.

    Raises:
        ModelRefused: a member is missing or wrong.
    """
    members = _protocol(model)
    if missing := _missing(model, members):
        raise ModelRefused(
            f"it lacks {_listed(missing)}: a model has the members {_listed(members)}, "
            "as docs/models.md shows"
        )
    for name in members:
        if name not in VALUES and not callable(getattr(model, name)):
            raise ModelRefused(f"`{name}` is no method: write `def {name}(self, …)`")
    _check_card(model.card)
    if members is SEQUENCE_MEMBERS:
        _check_grid(model.grid)
    else:
        _check_buckets(model.buckets)


def _protocol(model: object) -> tuple[str, ...]:
    """Returns the member names of the protocol that the model seems to implement.

    The protocols are ``Model`` and ``SequenceModel``. The model seems to implement the protocol of
    which it lacks fewer members.
    """
    tokens, texts = _missing(model, SEQUENCE_MEMBERS), _missing(model, TEXT_MEMBERS)
    return SEQUENCE_MEMBERS if not tokens or len(tokens) < len(texts) else TEXT_MEMBERS


def _missing(model: object, members: Sequence[str]) -> list[str]:
    return [name for name in members if not hasattr(model, name)]


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]


def _check_card(card: object) -> None:
    if not isinstance(card, ModelCard):
        raise ModelRefused(
            f"`card` is of the type {type(card).__name__} and not ModelCard: make it with "
            "model.types.ModelCard(name, version, authors, threshold, details)"
        )
    if not isinstance(card.name, str) or not card.name.strip():
        raise ModelRefused("`card.name` is empty: give the model a name for people")
    _check_version(card.version)
    _check_authors(card.authors)
    threshold: object = card.threshold
    # NaN is refused too.
    if not isinstance(threshold, Real) or not 0 <= float(threshold) <= 1:
        raise ModelRefused(
            f"`card.threshold` is {threshold!r} and not a number from 0 to 1: it is the confidence "
            "below which Byline names no author, such as 0.6"
        )
    if not isinstance(card.details, dict):
        raise ModelRefused("`card.details` is no dict: an empty one, {}, is enough")
    try:
        msgspec.json.encode(asdict(card))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelRefused(
            "`card` can't be written as JSON, and GET /v1/models shows it: put only texts, "
            f"numbers, lists and dicts into it ({error})"
        ) from error


def _check_version(version: object) -> None:
    if not isinstance(version, str) or not version.strip():
        raise ModelRefused(
            "`card.version` is empty: name the weights and the preprocessing, such as "
            "'vowels-1', and change the name whenever an answer may change"
        )
    if not version.isprintable() or len(version.split()) > 1 or version != version.strip():
        raise ModelRefused(
            f"`card.version` is {version!r}, with white space or a control character: use letters, "
            "digits, dots and hyphens, because it is a part of names in Redis"
        )


def _check_authors(authors: object) -> None:
    if isinstance(authors, str) or not isinstance(authors, Sequence):
        raise ModelRefused(
            f"`card.authors` is of the type {type(authors).__name__} and not a tuple of names: "
            "write ('poet', 'engineer')"
        )
    if not authors:
        raise ModelRefused(
            "`card.authors` is empty: name the authors in the order of the columns that `forward` "
            "returns"
        )
    for author in authors:
        if not isinstance(author, str) or not author.strip():
            raise ModelRefused(f"`card.authors` holds {author!r}: each author is a text")
    if doubled := [author for author, times in Counter(authors).items() if times > 1]:
        raise ModelRefused(
            f"`card.authors` names {doubled[0]!r} more than once: give each author one name and "
            "one column"
        )


def _check_buckets(buckets: object) -> None:
    example = "Bucket(messages=1, characters=500), Bucket(messages=64, characters=500)"
    if not isinstance(buckets, Sequence) or not buckets:
        raise ModelRefused(
            f"`buckets` holds no batch shape: write ({example}), smallest first, where the last "
            "one limits a batch"
        )
    for bucket in buckets:
        if not isinstance(bucket, Bucket) or not all(map(_is_count, bucket)):
            raise ModelRefused(
                f"`buckets` holds {bucket!r}, which is no Bucket of two whole numbers above 0: "
                f"write ({example})"
            )
    for before, after in pairwise(buckets):
        if after.messages < before.messages:
            raise ModelRefused(
                f"`buckets` are out of order, {before.messages} messages before {after.messages}: "
                "put the smallest first, because the last one limits a batch"
            )


def _check_grid(grid: object) -> None:
    example = "Grid(messages=(1, 8, 64), lengths=(64, 128, 256))"
    if not isinstance(grid, Grid):
        raise ModelRefused(f"`grid` is no Grid: write {example}")
    for name, sizes in (("messages", grid.messages), ("lengths", grid.lengths)):
        whole = isinstance(sizes, Sequence) and sizes and all(map(_is_count, sizes))
        if not whole or any(after <= before for before, after in pairwise(sizes)):
            raise ModelRefused(
                f"`grid.{name}` is {sizes!r} and not whole numbers above 0, the smallest first: "
                f"write {example}"
            )


def _is_count(number: object) -> bool:
    return isinstance(number, Integral) and int(number) > 0


def check_encoded(encoded: object, texts: int, longest: int) -> None:
    """Checks the tokens and the features that a model's method ``encode`` returned.

    ``texts`` is the number of texts. Each text must have 1 to ``longest`` tokens.

    Raises:
        ModelRefused: the tokens or the features break the protocol.
    """
    if not isinstance(encoded, Encoded):
        raise ModelRefused("`encode` returned no Encoded: write Encoded(tokens, offsets, features)")
    kinds = (("tokens", np.integer, 1), ("offsets", np.integer, 1), ("features", np.floating, 2))
    for (name, kind, dimensions), array in zip(kinds, encoded, strict=True):
        if not isinstance(array, np.ndarray):
            raise ModelRefused(
                f"`encode` returned {name} of the type {type(array).__name__} and not a numpy "
                f"array: convert them"
            )
        if not np.issubdtype(array.dtype, kind) or array.ndim != dimensions:
            number = "whole numbers" if kind is np.integer else "fractions"
            raise ModelRefused(
                f"`encode` returned {name} of {array.dtype} in {array.ndim} dimensions: return "
                f"{number} in {dimensions}, as model.types.Encoded says"
            )
    _check_offsets(encoded, texts, longest)


def _check_offsets(encoded: Encoded, texts: int, longest: int) -> None:
    offsets = encoded.offsets
    if len(offsets) != texts + 1 or len(encoded.features) != texts:
        raise ModelRefused(
            f"`encode` returned {len(offsets)} offsets and {len(encoded.features)} rows of "
            f"features for {texts} texts: return {texts + 1} and {texts}"
        )
    if offsets[0] != 0 or offsets[-1] != len(encoded.tokens):
        raise ModelRefused(
            f"`encode` returned offsets from {offsets[0]} to {offsets[-1]} for "
            f"{len(encoded.tokens)} tokens: begin with 0 and end with the number of tokens"
        )
    sizes = np.diff(offsets)
    if not 1 <= sizes.min() <= sizes.max() <= longest:
        raise ModelRefused(
            f"`encode` gave one text {sizes.min()} and one {sizes.max()} tokens, but `grid` allows "
            f"1 to {longest}: cut longer texts"
        )
