"""Reads and writes model cards, which describe a model's data, quality, limits and training.

A card is a JSON file for programs and a Markdown page for people. Its content follows Mitchell et
al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from model.training import evaluation
from model.types import ModelCard
from monitoring.instruments.wilson import wilson

#: Name of the JSON file in a model's folder.
JSON_FILE = "card.json"
#: Name of the Markdown page in a model's folder.
PAGE_FILE = "CARD.md"
#: The card lists at most this many mistakes, the commonest first.
MAX_CONFUSIONS = 15
#: Largest margin, on either side, with which a measured accuracy is useful. About 100 held-out
#: messages give this margin. One in five of :data:`ENOUGH_MESSAGES` is held out.
MAX_MARGIN = 0.1
#: Number of labelled messages that give at most this margin, for any accuracy.
ENOUGH_MESSAGES = 500
#: Smallest number of messages on which choices and confidences should rest.
ENOUGH_TUNING = 300
#: The sentence about the authors that are hardly ever found names at most this many of them.
MAX_NAMED = 10
#: The card says that the baseline is better if its advantages in accuracy and in macro-F1 add up
#: to more than this number.
CLEARLY = 0.01
#: Text of the card's section on use and limits.
USE = (
    "Says who of the authors it was trained on most likely wrote a message. It knows no others: "
    "somebody else's message gets the name of whoever writes most alike, or none. Topic and "
    "period speak as much as style does. It is no proof of authorship, and nothing to decide "
    "about a person on. Messages much shorter than those it was trained on get less sure answers."
)
#: Text on how the choices were made, for the card's section on training.
CALIBRATION = (
    "penalties, mixture, temperature, shift and threshold from models fitted without the messages "
    "that they were chosen on; the final model is fitted on all training messages and keeps them"
)
#: Text on how the threshold was chosen, for the card's section on training.
THRESHOLD = (
    f"the lowest confidence at which {evaluation.TARGET_ACCURACY:.0%} of the answers on the tuning "
    "messages are right"
)


def quality_details(
    probabilities: evaluation.Floats,
    labels: evaluation.Classes,
    authors: Sequence[str],
    threshold: float,
    unseen: Mapping[str, float],
) -> dict[str, Any]:
    """Returns the part of a card's ``details`` that is measured on the held-out messages.

    ``probabilities`` has the shape (messages, authors). ``unseen`` has the mean and the standard
    deviation of the messages' shares of n-grams that training never saw. To detect drift, the
    monitor compares the traffic with the figures under the result's key ``reference``.
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    f1 = evaluation.f1_scores(labels, predicted, len(authors))
    shares = np.bincount(predicted, minlength=len(authors)) / len(predicted)
    histogram = np.histogram(confidence, evaluation.BINS, (0, 1))[0] / len(confidence)
    return {
        "metrics": evaluation.summary(probabilities, labels, threshold),
        "calibration": evaluation.calibration_bins(confidence, predicted == labels),
        "confusions": [
            {"author": authors[true], "named": authors[named], "messages": messages}
            for true, named, messages in evaluation.confusions(labels, predicted, MAX_CONFUSIONS)
        ],
        "f1": {author: round(float(f1[i]), 4) for i, author in enumerate(authors)},
        "hardly_found": [
            authors[i] for i in evaluation.hardly_found(labels, predicted, len(authors))
        ],
        "intervals": evaluation.intervals(confidence, predicted == labels),
        "reference": {
            "predicted_shares": {a: round(float(shares[i]), 5) for i, a in enumerate(authors)},
            "confidence_histogram": [round(float(share), 5) for share in histogram],
            "unseen": dict(unseen),
        },
    }


def worth(card: ModelCard) -> str:
    """Returns sentences about the model's accuracy on the held-out messages.

    The sentences give a range for the accuracy, and name the authors whom the model hardly ever
    finds. They also warn of too few messages, and of a baseline (a linear SVM) that is better.
    """
    sentences = (*_accuracy(card), *_confidence(card), *_rare(card), *_behind(card))
    return " ".join(sentences)


def _accuracy(card: ModelCard) -> Iterator[str]:
    data, messages = card.details["data"], card.details["data"]["held_out_messages"]
    right = round(card.details["metrics"]["accuracy"] * messages)
    low, high = wilson(right, messages)
    yield (
        f"The best guess is right for {right:,} of {messages:,} held-out messages: on messages "
        f"like these, the accuracy is between {low:.2f} and {high:.2f} (95 % confidence)."
    )
    if data["documents"] < data["messages"]:
        yield "Messages of one document are alike, so that the true margin is wider."
    if high - low > 2 * MAX_MARGIN:
        if low <= 1 / len(card.authors):
            yield f"That may be no better than a guess, {1 / len(card.authors):.2f}."
        yield (
            "These are too few messages to tell how good the model is. Label more messages and "
            f"train again: {ENOUGH_MESSAGES} in all give the accuracy to ±{MAX_MARGIN}."
        )


def _confidence(card: ModelCard) -> Iterator[str]:
    """Yields a warning if too few messages were used to fit the confidences and the threshold."""
    chosen_on = card.details.get("training", {}).get("messages_chosen_on", ENOUGH_TUNING)
    intervals = card.details.get("intervals")
    if chosen_on < ENOUGH_TUNING and intervals:
        low, high = intervals["confidence_minus_accuracy"]
        yield (
            f"Its confidences and its threshold rest on only {chosen_on:,} messages: do not rely "
            "on them. On the held-out messages, the mean confidence minus the accuracy is between "
            f"{low:+.2f} and {high:+.2f} (95 % confidence)."
        )


def _rare(card: ModelCard) -> Iterator[str]:
    if names := card.details.get("hardly_found", []):
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        yield (
            f"Hardly ever found, with an F1 below {evaluation.LEAST_F1}: "
            f"{', '.join(names[:MAX_NAMED])}{more}."
        )


def _behind(card: ModelCard) -> Iterator[str]:
    """Yields a sentence if the baseline, a linear SVM, is clearly better than the model.

    Both were measured on the tuning fold, a part of the training messages.
    """
    names = ("tuning_accuracy", "tuning_macro_f1")
    ours, other = (card.details.get(part, {}) for part in ("training", "baseline"))
    if not all(name in part for name in names for part in (ours, other)):
        return
    if sum(other[name] - ours[name] for name in names) > CLEARLY:
        yield (
            "On the tuning fold, the baseline is better: accuracy "
            f"{other[names[0]]} and macro-F1 {other[names[1]]}, against {ours[names[0]]} and "
            f"{ours[names[1]]}. Byline's own fit is served all the same: it has the baseline's "
            "loss among its candidates, but the served table can't hold the baseline's features."
        )


def training_environment(seconds: float) -> dict[str, Any]:
    """Returns the training's duration in seconds, and the versions of Python, torch and numpy."""
    return {
        "seconds": round(seconds, 1),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": np.__version__,
    }


def read(directory: Path) -> ModelCard:
    """Reads the model card from a model's folder.

    Raises:
        OSError: the file does not exist, or can't be read.
        ValueError: the file is not a model card.
    """
    path = directory / JSON_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return ModelCard(**fields | {"authors": tuple(fields["authors"])})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a model card: {error}") from error


def write(card: ModelCard, directory: Path) -> None:
    """Writes ``card`` as JSON and as Markdown into ``directory``, which must exist."""
    content = json.dumps(asdict(card), indent=1, ensure_ascii=False)
    (directory / JSON_FILE).write_text(content + "\n", encoding="utf-8")
    (directory / PAGE_FILE).write_text(page(card), encoding="utf-8")


def page(card: ModelCard) -> str:
    """Returns the card as a Markdown page."""
    details = card.details
    sections = [
        f"# Model card: {card.name}\n\nVersion `{card.version}`",
        f"## Use and limits\n\n{USE}",
        "## Data\n\n" + _facts(details["data"]),
        "## Quality on the held-out messages\n\n" + _quality(card),
        *_variants(details.get("variants", [])),
        "## Calibration\n\n"
        + _table(
            ("Confidence", "Messages", "Mean confidence", "Accuracy", "95 % interval"),
            map(_bin, details["calibration"]),
        ),
        "## Commonest mistakes\n\n"
        + _table(("Author", "Named", "Messages"), (c.values() for c in details["confusions"])),
        "## F1 of each author\n\n" + _table(("Author", "F1"), details["f1"].items()),
        "## Training\n\n" + _facts(details["training"]),
    ]
    return "\n\n".join(sections) + "\n"


def _bin(figures: Mapping[str, Any]) -> Sequence[Any]:
    """Returns the cells of a row of the calibration table: the figures of one confidence bin."""
    bounds = f"{figures['from']:.2f}-{figures['to']:.2f}"
    messages, accuracy = figures["messages"], figures["accuracy"]
    low, high = wilson(round(accuracy * messages), messages)
    return bounds, messages, figures["confidence"], accuracy, f"{low:.2f}-{high:.2f}"


def _quality(card: ModelCard) -> str:
    """Returns a paragraph and a Markdown table about the model's metrics, as one text.

    The paragraph begins with the threshold. The table's last column has the baseline's metrics, and
    is empty without a baseline.
    """
    ours, baseline = card.details["metrics"], card.details["baseline"]
    rows = [(name.replace("_", " "), value, "") for name, value in ours.items()]
    if baseline:
        rows = [(name, value, baseline.get(name.replace(" ", "_"), "")) for name, value, _ in rows]
    heading = baseline["name"] if baseline else "baseline (not run)"
    words = f"Abstains below a confidence of {card.threshold}. {worth(card)}"
    return f"{words}\n\n" + _table(("", "Byline", heading), rows)


def _variants(variants: Sequence[dict[str, Any]]) -> list[str]:
    """Returns a list with one Markdown section, about the variants that training compared.

    The list is empty if there are no variants.
    """
    if not variants:
        return []
    rows = [(v["name"], v["tuning_macro_f1"], v["accuracy"], v["macro_f1"]) for v in variants]
    heading = ("Variant", "Macro F1 on the tuning fold", "Accuracy held out", "Macro F1 held out")
    chosen = "Chosen by the tuning fold; the held-out messages decided nothing.\n\n"
    return ["## Variants tried\n\n" + chosen + _table(heading, rows)]


def _facts(facts: dict[str, Any]) -> str:
    """Returns a Markdown list of names and values, without the values that are None."""
    return "\n".join(
        f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items() if value is not None
    )


def _table(heading: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Returns a Markdown table with the cells of ``heading`` and of ``rows``."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
