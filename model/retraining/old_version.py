"""Reads the old version of a model, with which a retraining compares the new version."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from model import card
from model.retraining.merged_corpus import FEEDBACK_TRAINING
from model.training.corpus import Corpus
from model.training.errors import DataError, place
from model.types import ModelCard


class OldVersion(NamedTuple):
    """The old version of a model: the kind of the model, the version's folder, and its card."""

    #: The kind of the model: ``ngram`` or ``transformer``.
    model: str
    #: The folder of the model's weights and card.
    folder: Path
    card: ModelCard

    def notes_on(self, corpus: Corpus) -> list[str]:
        """Returns a note for the user if the version was trained on other data than ``corpus``.

        Only the numbers of training messages are compared. If they agree, there is no note.
        """
        data = self.card.details.get("data", {})
        learned = data.get("training_messages", 0) - data.get(FEEDBACK_TRAINING, 0)
        now = corpus.description["training_messages"]
        note = (
            f"the old version was trained on other data ({learned:,} messages, here {now:,}): it "
            "may have learned from held-out messages, so that it seems too good on the old data"
        )
        return [] if learned == now else [note]


def read_old_version(model: str, folder: Path) -> OldVersion:
    """Reads the card of the old version.

    Raises:
        DataError: the folder has no readable card.
    """
    try:
        return OldVersion(model, folder, card.read(folder))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"{place(folder)}: the card of the old version can't be read: {reason}: train a "
            "version first with make train, or name its folder with OLD=folder"
        ) from error
