"""Leaves out held-out messages that nearly equal a training message.

A model would recognise these messages, so its metrics would be too good. The word triples of near
duplicates have a Jaccard similarity of at least 0.8 (Lee et al. 2022, "Deduplicating Training Data
Makes Language Models Better").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from model.training.corpus import HELD_OUT_FOLD, Corpus
from model.training.errors import quoted

#: Smallest Jaccard similarity of near duplicates.
SIMILARITY = 0.8
#: Number of words in a shingle, the unit of comparison.
SHINGLE_WORDS = 3
#: Number of bands of the index, and number of hashes in a band. The index finds two messages of the
#: similarity 0.8 with a probability of 95 %, and of the similarity 0.9 with more than 99.9 %.
BANDS = (16, 8)
#: Smallest estimated similarity of candidates. With 128 hashes, the estimate of a similarity of 0.8
#: is below this number in one of 3,000 cases.
LIKELY = 0.68
#: Largest number of candidates that one message is compared with at a time.
MAX_CANDIDATES = 100

_WORD = re.compile(r"\w+")


def without_near_duplicates(corpus: Corpus) -> Corpus:
    """Returns the corpus without the held-out messages that nearly equal a training message.

    Near duplicates may have different authors. If all held-out messages are near duplicates, all of
    them stay. The corpus's notes and description give the number of near duplicates.
    """
    held_out = corpus.part(HELD_OUT_FOLD)
    training = (m.text for m in corpus.messages if m.fold != HELD_OUT_FOLD)
    found = near_duplicates([message.text for message in held_out], training)
    kept_all = len(found) == len(held_out)
    left_out = {id(held_out[index]) for index in found} if not kept_all else set()
    messages = [message for message in corpus.messages if id(message) not in left_out]
    counts = {
        "near_duplicates_left_out": len(left_out),
        "near_duplicates_kept": len(found) - len(left_out),
        "messages": len(messages),
        "held_out_messages": len(held_out) - len(left_out),
    }
    notes = [*corpus.notes, *_notes(len(found), len(held_out))]
    left = {message.author for message in messages if message.fold == HELD_OUT_FOLD}
    if lost := {message.author for message in held_out} - left:
        notes.append(f"authors without another held-out message: {quoted(sorted(lost))}")
    return replace(corpus, messages=messages, notes=notes, description=corpus.description | counts)


def near_duplicates(texts: Sequence[str], others: Iterable[str]) -> set[int]:
    """Returns the indices of the ``texts`` that are near duplicates of one of the ``others``."""
    # MinHash finds the candidates, and the exact similarity decides.
    index = MinHashLSH(num_perm=BANDS[0] * BANDS[1], params=BANDS)
    signatures = list(_signatures(texts))
    for number, signature in enumerate(signatures):
        index.insert(number, signature, check_duplication=False)
    values = np.array([signature.hashvalues for signature in signatures])
    found: set[int] = set()
    for other, signature in _with_signatures(others):
        # Repeats, because one message may have more than MAX_CANDIDATES near duplicates.
        while near := [
            number
            for number in _likely(index.query(signature), values, signature)
            if _are_near(texts[number], other)
        ]:
            found.update(near)
            for number in near:
                index.remove(number)
    return found


def _likely(candidates: list[int], values: NDArray[Any], signature: MinHash) -> list[int]:
    """Returns the candidates that are likely near duplicates, the most similar first.

    ``signature`` has the hashes of one message. ``values`` has a row of hashes for each text, and
    ``candidates`` are numbers of rows. The result has at most ``MAX_CANDIDATES`` of them. Their
    estimated similarity to the message is at least ``LIKELY``.
    """
    if not candidates:
        return []
    numbers = np.array(candidates)
    # The share of equal hashes estimates the similarity.
    estimates = (values[numbers] == signature.hashvalues).mean(1)
    order = np.argsort(-estimates, kind="stable")[:MAX_CANDIDATES]
    return [int(n) for n in numbers[order[estimates[order] >= LIKELY]]]


def _are_near(one: str, other: str) -> bool:
    a, b = shingles(one), shingles(other)
    return len(a & b) >= SIMILARITY * len(a | b)


def shingles(text: str) -> set[str]:
    """Returns the shingles of a text: its triples of consecutive words, case-folded.

    A text of one or two words has one shingle with these words. A text without words is its own
    shingle.
    """
    words = _WORD.findall(text.casefold())
    if len(words) < SHINGLE_WORDS:
        return {" ".join(words) or text}
    size = SHINGLE_WORDS
    return {" ".join(words[start : start + size]) for start in range(len(words) - size + 1)}


def _with_signatures(texts: Iterable[str]) -> Iterator[tuple[str, MinHash]]:
    """Yields each text with its MinHash signature."""
    for text in texts:
        [signature] = _signatures([text])
        yield text, signature


def _signatures(texts: Iterable[str]) -> Iterator[MinHash]:
    """Yields the MinHash signatures of the texts. Equal texts always get equal signatures."""
    encoded = ([shingle.encode() for shingle in shingles(text)] for text in texts)
    yield from MinHash.generator(encoded, num_perm=BANDS[0] * BANDS[1], hashfunc=crc32)


def _notes(found: int, held_out: int) -> list[str]:
    if not found:
        return []
    note = f"near duplicates: {found:,} of {held_out:,} held-out messages nearly equal a training "
    if found < held_out:
        return [note + "message, and are left out of the measurements"]
    note += "message. They stay in, so that there are figures, but these tell nothing about others"
    return [note]
