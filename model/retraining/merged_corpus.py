"""Adds messages with feedback to the corpus that the old version was trained on.

Feedback on a message is its true author, as a user has reported it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, NamedTuple

from model.training.corpus import FOLDS, HELD_OUT_FOLD, TRAINING_FOLDS, TUNING_FOLD, Corpus, Message
from model.training.errors import quoted

#: Key of a card's data section: the number of training messages that come from feedback.
FEEDBACK_TRAINING = "feedback_training_messages"


class Merged(NamedTuple):
    """A corpus of the old version's messages and of messages with feedback."""

    corpus: Corpus
    #: The text and the author of each message with feedback that the corpus has.
    feedback: frozenset[tuple[str, str]]

    def held_out(self) -> tuple[list[Message], list[Message]]:
        """Returns the held-out old messages, and the held-out messages with feedback."""
        parts: tuple[list[Message], list[Message]] = [], []
        for message in self.corpus.part(HELD_OUT_FOLD):
            parts[(message.text, message.author) in self.feedback].append(message)
        return parts


def with_feedback(corpus: Corpus, labelled: Sequence[tuple[str, str]]) -> Merged:
    """Returns the messages of ``corpus`` and those of ``labelled`` as one corpus.

    ``labelled`` has pairs of a text and its true author, both in the canonical form. If a text
    comes twice in ``labelled``, its last author counts. Two kinds of pairs are left out: pairs that
    ``corpus`` has already, and pairs of a new author with too few. The old messages keep their
    folds.
    """
    known = {(message.text, message.author) for message in corpus.messages}
    pairs = [pair for pair in dict(labelled).items() if pair not in known]
    messages = [Message(text, author, fold_of(text)) for text, author in pairs]
    folds: dict[str, set[int]] = {}
    for message in messages:
        folds.setdefault(message.author, set()).add(message.fold)
    unknown = folds.keys() - set(corpus.authors)
    left_out = {author for author in unknown if not _can_be_learned(folds[author])}
    added = [message for message in messages if message.author not in left_out]
    merged = replace(
        corpus,
        messages=[*corpus.messages, *added],
        authors=tuple(sorted({*corpus.authors, *(message.author for message in added)})),
        description=corpus.description
        | _counts(corpus.description, added, len(unknown - left_out)),
        notes=[*corpus.notes, *_notes(added, left_out, unknown - left_out)],
    )
    return Merged(merged, frozenset((message.text, message.author) for message in added))


def fold_of(text: str) -> int:
    """Returns the fold of a message with feedback: a hash of its text, modulo ``FOLDS``.

    So a text is held out in every retraining, or in none. If the order of the texts decided the
    fold, a text could be held out now although the old version was trained on it.
    """
    digest = blake2b(text.encode(), digest_size=8, person=b"fold").digest()
    return int.from_bytes(digest) % FOLDS


def _can_be_learned(folds: set[int]) -> bool:
    """Returns whether an author with messages in ``folds`` can be in a :class:`Corpus`.

    ``folds`` must include the tuning fold and at least one other training fold.
    """
    return TUNING_FOLD in folds and len(folds & set(TRAINING_FOLDS)) > 1


def _counts(before: dict[str, Any], added: Iterable[Message], authors: int) -> dict[str, Any]:
    """Returns the model card's counts: those in ``before``, plus those of the ``added`` messages.

    ``authors`` is the number of new authors.
    """
    folds = Counter(message.fold for message in added)
    numbers = {
        "authors": authors,
        "documents": folds.total(),
        "messages": folds.total(),
        "training_messages": folds.total() - folds[HELD_OUT_FOLD],
        "of_which_tuning_messages": folds[TUNING_FOLD],
        "held_out_messages": folds[HELD_OUT_FOLD],
    }
    return {name: before[name] + number for name, number in numbers.items()} | {
        "feedback_messages": folds.total(),
        FEEDBACK_TRAINING: numbers["training_messages"],
        "feedback_rule": "each message with feedback is a document of its own; a hash of its text "
        "decides its fold",
    }


def _notes(added: Sequence[Message], left_out: set[str], new: set[str]) -> list[str]:
    notes = [f"messages with feedback, added to the old data: {len(added):,}"]
    if new:
        notes.append(f"authors that the old version does not know: {quoted(sorted(new))}")
    if left_out:
        notes.append(
            "authors with too little feedback to be learned, left out; about ten messages each are "
            f"enough: {quoted(sorted(left_out))}"
        )
    return notes
