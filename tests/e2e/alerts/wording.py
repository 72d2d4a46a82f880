"""Makes regular expressions, from the rules' texts, for the messages about alerts."""

from __future__ import annotations

import re
from collections import Counter

import yaml

from compose.parts.alertmanager import CONFIGURATION
from tests.e2e.alerts.receivers import Said
from tests.promql import rules


def consequences(alert: str) -> set[str]:
    """Returns the names of the alerts that are not sent while ``alert`` fires."""
    [targets] = (
        rule["target_matchers"]
        for rule in yaml.safe_load(CONFIGURATION.read_text("utf-8"))["inhibit_rules"]
        if rule["source_matchers"] == [f"alertname = {alert}"]
    )
    return {name for target in targets for name in re.findall(r"\b[A-Z]\w+", target)}


def _summaries() -> dict[tuple[str, str], str]:
    """Returns a pattern of the filled-in summaries, by alert and severity."""
    found: dict[tuple[str, str], list[str]] = {}
    for rule in rules():
        if "alert" in rule:
            parts = re.split(r"({{.*?}})", rule["annotations"]["summary"])
            pattern = "".join(_filled(part) for part in parts)
            found.setdefault((rule["alert"], rule["labels"]["severity"]), []).append(pattern)
    return {key: f"(?:{'|'.join(patterns)})" for key, patterns in found.items()}


def _filled(part: str) -> str:
    """Returns a pattern of one part of a summary: a number, a label, or plain text."""
    if not part.startswith("{{"):
        return re.escape(part)
    return r"-?\d[\w.+-]*%?(?: \d+\w)*" if "$value" in part else r"[^\s<>]+"


SUMMARIES = _summaries()
TWOFOLD = {name for name, n in Counter(alert for alert, _ in SUMMARIES).items() if n > 1}


def line(alert: str, severity: str, channel: str) -> str:
    """Returns a pattern of the text about a firing alert in a message of a channel."""
    summary = SUMMARIES[alert, severity]
    if channel == "slack":
        circle = "red" if severity == "critical" else "large_yellow"
        return rf"^:{circle}_circle: \*{summary}\*\s*$"
    return rf"^{severity.upper()} {alert}\s*\n{summary}\s*$"


def check_title(said: Said) -> None:
    """Checks that the title of a message has the name and the summary of an alert."""
    found = re.fullmatch(r"([A-Z]+) (\w+): (.*?)(?: \(\d+ firing, \d+ resolved\))?", said.title)
    assert found, said.title
    severity, alert, summary = found.groups()
    assert re.fullmatch(SUMMARIES[alert, severity.lower()], summary), said.title
