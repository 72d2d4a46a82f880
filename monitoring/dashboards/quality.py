"""Quality: are the answers still right?"""

from __future__ import annotations

from typing import Any, NamedTuple

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.common import (
    COUNT,
    MESSAGES,
    RED,
    SHARE,
    Query,
    bars,
    heat,
    label,
    limit_line,
    lines,
    number,
)
from monitoring.dashboards.page import Row, page

GUIDE = """
The row above says whether any signal is **past** its threshold: accuracy and estimated accuracy are
past it when *below*, all others when *above*. Thresholds move with the number of messages they rest
on, so that chance alone crosses none.

**Accuracy** needs feedback, the true authors of some messages, and is the truth where there is
enough of it. The others need none; they say that messages or answers are not what they were when
the model was trained. One drifting signal is a question, several at once are an answer: train the
model anew on today's messages.
"""


class Signal(NamedTuple):
    """One of the signals: how it is shown."""

    name: str
    title: str
    shows: str
    act: str


SIGNALS = (
    Signal(
        "accuracy",
        "accuracy",
        "Share of the messages with feedback whose best guess was the true author. Bad below its "
        "threshold.",
        "The model is wrong more often than its card says. Train it anew with the labels that "
        "feedback brought.",
    ),
    Signal(
        "estimated_accuracy",
        "estimated accuracy",
        "What the model's confidence promises of its accuracy, without feedback. Bad below its "
        "threshold.",
        "Messages are harder than those of the training: other subjects, shorter texts, unknown "
        "authors. Collect feedback, then train it anew.",
    ),
    Signal(
        "abstention",
        "abstentions",
        "Share of the messages for which no author was named. Bad above its threshold.",
        "Are the texts shorter than they were, or empty of words? If they are fine, the model no "
        "longer knows them.",
    ),
    Signal(
        "author_drift",
        "drift of authors",
        "How far the authors named are from the training's, 0 to 1. Bad above its threshold.",
        "See Authors named: is one named far too often? A single client's messages may do that; "
        "if it is not so, train the model anew.",
    ),
    Signal(
        "confidence_drift",
        "drift of confidence",
        "How far confidences are from those of the training, 0 to 1. Bad above its threshold.",
        "See Confidence: lower ones mean harder messages; higher ones may be the same few again "
        "and again.",
    ),
    Signal(
        "unseen",
        "unseen",
        "Share of what messages are made of that the training never saw. Bad above its threshold.",
        "Another language, another alphabet, markup instead of text? Clean it at the source, or "
        "train the model on it.",
    ),
)

_RATIO = "version_signal:byline_quality_ratio:max"
_THRESHOLD = "version_signal:byline_quality_threshold_ratio:max"
_PAST = "version_signal:byline_quality_past_threshold:max"
_TOO_FEW = "too few messages"


def build() -> Dashboard:
    """Return the dashboard."""
    rows = [
        _glance(),
        Row("Signals against their thresholds", [_signal(signal) for signal in SIGNALS]),
        _feedback(),
        _answers(),
    ]
    return page("quality", "Are the answers still right?", GUIDE, rows)


def _glance() -> Row:
    return Row(
        "Are the answers still right?",
        [
            number(
                "Past their threshold",
                f"sum({_PAST})",
                COUNT,
                "How many signals are past their threshold, of every version being served.",
                "See which to the right, and its panel below: each says what to do.",
                steps=((1, RED),),
                none=_TOO_FEW,
            ),
            number(
                "Signals",
                f"max by (signal) ({_PAST})",
                COUNT,
                "Each signal: ok, or past its threshold. One that is missing has too few messages, "
                "or feedback, to mean anything yet.",
                "See its panel below.",
                steps=((1, RED),),
                names={"0": "ok", "1": "past"},
                none=_TOO_FEW,
                legend="{{signal}}",
                width=12,
            ),
            number(
                "Accuracy",
                f'min({_RATIO}{{signal="accuracy"}})',
                SHARE,
                "Share of the messages with feedback that were attributed to their true author.",
                "Judge it by its interval and its threshold below.",
                none="no feedback",
            ),
            number(
                "Estimated accuracy",
                f'min({_RATIO}{{signal="estimated_accuracy"}})',
                SHARE,
                "What the model's confidence promises of its accuracy.",
                "Judge it by its threshold below. Far from Accuracy: the model is too sure, or "
                "not enough, and needs calibration.",
                none=_TOO_FEW,
            ),
            number(
                "Rests on",
                "max(byline_quality_messages)",
                COUNT,
                "Messages that the signals rest on.",
                "With few, wait: thresholds are wide and signals say little.",
                none=_TOO_FEW,
            ),
        ],
    )


def _signal(signal: Signal) -> Any:
    of = f'{{signal="{signal.name}"}}'
    panel = lines(
        f"Signal: {signal.title}",
        [Query(_RATIO + of, "{{version}}"), Query(_THRESHOLD + of, "threshold")],
        SHARE,
        f"{signal.shows} The dashed line is the threshold.",
        signal.act,
        top=1.0 if "accuracy" in signal.name else None,
    )
    return limit_line(panel, "threshold", RED)


def _feedback() -> Row:
    return Row(
        "Feedback",
        [
            lines(
                "Accuracy, and how sure it is",
                [
                    Query(
                        "max by (version, bound) (byline_accuracy_interval_ratio)",
                        "{{version}} {{bound}}",
                    ),
                    Query(f'{_RATIO}{{signal="accuracy"}}', "{{version}}"),
                ],
                SHARE,
                "Accuracy within its 95 % interval: the more feedback, the narrower.",
                "A wide one tells little: send more feedback. If the card's accuracy is above "
                "the upper bound, the model has become worse.",
                width=6,
                top=1.0,
            ),
            lines(
                "Feedback, right and wrong",
                [
                    Query(
                        "sum by (correct) (rate(byline_feedback_total[$__rate_interval]))",
                        "right: {{correct}}",
                    )
                ],
                MESSAGES,
                "True authors learned, by whether the best guess was that author.",
                "None comes: clients do not send feedback, and nobody knows how good the answers "
                "are.",
                stacked=True,
                width=6,
            ),
            lines(
                "Labels and messages",
                [
                    Query("max by (version) (byline_quality_labels)", "{{version}} labels"),
                    Query("max by (version) (byline_quality_messages)", "{{version}} messages"),
                ],
                COUNT,
                "What the signals rest on: messages, and those among them whose true author was "
                "learned.",
                "A step down to few is a new version: let it gather before it is judged.",
                width=6,
            ),
            lines(
                "Label coverage",
                [Query("max by (version) (byline_label_coverage_ratio)", "{{version}}")],
                SHARE,
                "Share of the messages computed whose true author was learned.",
                "If it is low, accuracy is that of the few that were labelled, who may not be "
                "like the rest: ask for feedback on a random sample.",
                width=6,
            ),
        ],
    )


def _answers() -> Row:
    computed = "sum(rate(byline_confidence_count[$__rate_interval]))"
    bucket = "byline_confidence_bucket"
    return Row(
        "Answers",
        [
            bars(
                "Authors named, the ten most frequent",
                Query(
                    "topk(10, sum by (author) (increase(byline_attributed_total[5m])))",
                    "{{author}}",
                ),
                COUNT,
                "Messages of the last five minutes that the model computed, by the author named.",
                "One far ahead of all others: is it a client that sends one author's messages, or "
                "a model that has collapsed onto one? Feedback tells.",
            ),
            heat(
                "Confidence",
                f"sum by (le) (increase({bucket}[$__rate_interval]))",
                SHARE,
                "How sure the model was of its best guesses, of messages computed.",
                "If it moves down and stays there, messages have become harder: see Estimated "
                "accuracy.",
            ),
            lines(
                "Abstained",
                [
                    Query(
                        f"sum(rate(byline_abstained_total[$__rate_interval])) / ({computed} > 0)",
                        "share",
                    )
                ],
                SHARE,
                "Share of the messages computed for which no author was named, as it comes; the "
                "signal above looks back further.",
                "See Signal: abstentions.",
            ),
            label(
                "Model",
                Query("max by (version, device) (byline_model_info)", "{{version}} on {{device}}"),
                "Versions being served, and on what.",
                "Two for more than a roll-out's minutes: a worker was not started again with the "
                "new model.",
                width=12,
            ),
            number(
                "Workers by version",
                "count by (version) (byline_model_info)",
                COUNT,
                "How many workers serve each version.",
                "As for Model.",
                legend="{{version}}",
                width=12,
            ),
        ],
    )
