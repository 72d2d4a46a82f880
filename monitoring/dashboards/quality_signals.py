"""The texts of the panels that show quality signals, which are figures such as the accuracy."""

from __future__ import annotations

from typing import NamedTuple

#: Recorded series, for each version and signal: the signal's value, its threshold, and 1 if the
#: value is past the threshold, else 0.
RATIO = "version_signal:byline_quality_ratio:max"
THRESHOLD = "version_signal:byline_quality_threshold_ratio:max"
PAST = "version_signal:byline_quality_past_threshold:max"


class Signal(NamedTuple):
    """A quality signal, such as the accuracy, and the texts of the panel that shows it."""

    name: str
    title: str
    shows: str
    act: str


SIGNALS = (
    Signal(
        "accuracy",
        "accuracy",
        "Share of the messages with feedback whose best guess was the true author. Bad below the "
        "threshold.",
        "The model is wrong more often than its card says. Train it again with the labels from "
        "feedback.",
    ),
    Signal(
        "estimated_accuracy",
        "estimated accuracy",
        "Accuracy that the model's confidence predicts, without feedback. Bad below the threshold.",
        "Messages are harder than in training: other subjects, shorter texts, unknown authors. "
        "Collect feedback, then train the model again.",
    ),
    Signal(
        "abstention",
        "abstentions",
        "Share of the messages for which the model named no author. Bad above the threshold.",
        "Check whether texts are shorter than before, or contain no words. If not, their authors "
        "are unknown to the model: train it again.",
    ),
    Signal(
        "author_drift",
        "drift of authors",
        "Difference between the authors named now and in the held-out messages, from 0 to 1. Bad "
        "above the threshold.",
        "See Authors named. If one author is named far too often, check whether one client sends "
        "these messages. If not, train the model again.",
    ),
    Signal(
        "confidence_drift",
        "drift of confidence",
        "Difference between confidences now and in the held-out messages, from 0 to 1. Bad above "
        "the threshold.",
        "See Confidence. Lower values mean harder messages. Higher values may mean that a few "
        "messages are repeated.",
    ),
    Signal(
        "unseen",
        "unseen",
        "Share of the texts' n-grams that training never saw. Bad above the threshold.",
        "Check whether texts have another language or alphabet, or markup. Clean them at the "
        "source, or train the model with them.",
    ),
)
