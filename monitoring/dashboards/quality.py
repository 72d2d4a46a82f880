"""Builds the Quality dashboard: are the model's answers still right?"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards import versions_table
from monitoring.dashboards.page import Row, page
from monitoring.dashboards.panels import (
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
from monitoring.dashboards.quality_signals import PAST, RATIO, SIGNALS, THRESHOLD, Signal

GUIDE = """
The row above shows whether a signal is **past** its threshold. Accuracy and estimated accuracy are
past it when they are *below*; the other signals are past it when they are *above*. A threshold
depends on the number of messages, so that chance alone does not cross it.

**Accuracy** needs feedback, which is the true authors of some messages. With enough feedback it is
the truth. The other signals need no feedback: they show that messages or answers differ from those
of the training. A single signal past its threshold is a reason to look closer; if several are,
train the model again with recent messages.
"""

_TOO_FEW = "too few messages"


def build() -> Dashboard:
    """Returns the Quality dashboard."""
    rows = [
        _glance(),
        versions_table.row(),
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
                f"sum({PAST})",
                COUNT,
                "Number of signals past their threshold, of all versions that are served.",
                "The panel to the right shows which signals; each signal's panel below says what "
                "to do.",
                steps=((1, RED),),
                none=_TOO_FEW,
            ),
            number(
                "Signals",
                f"max by (signal) ({PAST})",
                COUNT,
                "Each signal: ok, or past its threshold. A signal that is missing has too few "
                "messages, or too little feedback.",
                "See the signal's panel below.",
                steps=((1, RED),),
                names={"0": "ok", "1": "past"},
                none=_TOO_FEW,
                legend="{{signal}}",
                width=12,
            ),
            number(
                "Accuracy",
                f'min({RATIO}{{signal="accuracy"}})',
                SHARE,
                "Share of the messages with feedback whose best guess was the true author.",
                "Compare it with its interval and its threshold below.",
                none="no feedback",
            ),
            number(
                "Estimated accuracy",
                f'min({RATIO}{{signal="estimated_accuracy"}})',
                SHARE,
                "Accuracy that the model's confidence predicts.",
                "Compare it with its threshold below. If it is far from Accuracy, the model's "
                "confidence is wrong, and the model needs calibration.",
                none=_TOO_FEW,
            ),
            number(
                "Messages behind the signals",
                "max(byline_quality_messages)",
                COUNT,
                "Number of messages from which the signals are computed.",
                "With few messages wait: the thresholds are wide, and the signals say little.",
                none=_TOO_FEW,
            ),
        ],
    )


def _signal(signal: Signal) -> Any:
    of = f'{{signal="{signal.name}"}}'
    panel = lines(
        f"Signal: {signal.title}",
        [Query(RATIO + of, "{{version}}"), Query(THRESHOLD + of, "threshold")],
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
                    Query(f'{RATIO}{{signal="accuracy"}}', "{{version}}"),
                ],
                SHARE,
                "Accuracy with its 95 % interval, which is narrower with more feedback.",
                "A wide interval says little: send more feedback. If the model card's accuracy is "
                "above the upper bound, the model has become worse.",
                width=8,
                top=1.0,
            ),
            lines(
                "Feedback: right and wrong guesses",
                [
                    Query(
                        "sum by (correct) (rate(byline_feedback_total[$__rate_interval]))",
                        "right: {{correct}}",
                    )
                ],
                MESSAGES,
                "True authors reported, by whether the best guess was right.",
                "If there is none, clients send no feedback, and the accuracy is unknown.",
                stacked=True,
                width=8,
            ),
            lines(
                "Corrected feedback",
                [
                    Query(
                        "sum by (before, now) "
                        "(rate(byline_feedback_corrections_total[$__rate_interval]))",
                        "right: {{before}}, now {{now}}",
                    )
                ],
                MESSAGES,
                "Feedback that put another author in the place of one given before. By whether the "
                "best guess was right: according to the author before, and to the author now.",
                "If there is much, the first authors were not reliable: find out where they come "
                "from. Accuracy counts the corrected author.",
                stacked=True,
                width=8,
            ),
            lines(
                "Texts with feedback",
                [
                    Query(
                        "sum by (outcome) (rate(byline_feedback_texts_total[$__rate_interval]))",
                        "{{outcome}}",
                    )
                ],
                MESSAGES,
                "What became of the texts of messages with feedback, where BYLINE_KEEP_FEEDBACK is "
                "set: kept, corrected, no text any more, or dropped for newer texts.",
                "If many have no text any more, Redis evicts texts before their feedback comes: "
                "give it more memory. If texts are dropped, train a new version, or raise "
                "BYLINE_KEEP_FEEDBACK_MEGABYTES.",
                stacked=True,
                width=8,
            ),
            lines(
                "Labels and messages",
                [
                    Query("max by (version) (byline_quality_labels)", "{{version}} labels"),
                    Query("max by (version) (byline_quality_messages)", "{{version}} messages"),
                ],
                COUNT,
                "Messages from which the signals are computed, and messages whose true author was "
                "reported.",
                "A sudden fall means a new version: wait for more messages.",
                width=8,
            ),
            lines(
                "Label coverage",
                [Query("max by (version) (byline_label_coverage_ratio)", "{{version}}")],
                SHARE,
                "Share of the computed messages whose true author was reported.",
                "If it is low, the accuracy is that of few messages, which may differ from the "
                "others: ask for feedback on a random sample.",
                width=8,
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
                "Messages that the model computed in the last five minutes, by the author named.",
                "If one author is far ahead, a client sends one author's messages, or the model is "
                "broken. Feedback shows which.",
            ),
            heat(
                "Confidence",
                f"sum by (le) (increase({bucket}[$__rate_interval]))",
                SHARE,
                "The model's confidence in its best guesses, for the messages computed.",
                "If it falls and stays low, messages have become harder: see Estimated accuracy.",
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
                "Present share of the computed messages for which no author was named. The signal "
                "above looks back further.",
                "See Signal: abstentions.",
            ),
            label(
                "Model",
                Query("max by (version, device) (byline_model_info)", "{{version}} on {{device}}"),
                "Model versions that are served, and their devices.",
                "If there are two versions after a roll-out has ended, restart the workers of the "
                "old version.",
                width=12,
            ),
            number(
                "Workers by version",
                "count by (version) (byline_model_info)",
                COUNT,
                "How many workers serve each version.",
                "See Model.",
                legend="{{version}}",
                width=12,
            ),
        ],
    )
