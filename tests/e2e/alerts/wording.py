"""What alerts have to say, as it arrives: patterns made of the rules' own words."""

from __future__ import annotations

import re
from collections import Counter

import yaml

from compose.parts.alertmanager import CONFIGURATION
from tests.e2e.alerts.receivers import Said
from tests.promql import rules


def consequences(alert: str) -> set[str]:
    """The alerts that nobody is told of while another fires, by the names of both."""
    [targets] = (
        rule["target_matchers"]
        for rule in yaml.safe_load(CONFIGURATION.read_text("utf-8"))["inhibit_rules"]
        if rule["source_matchers"] == [f"alertname = {alert}"]
    )
    return {name for target in targets for name in re.findall(r"\b[A-Z]\w+", target)}


def _summaries() -> dict[tuple[str, str], str]:
    """By alert and severity, a pattern of what its summaries become once they are filled in."""
    found: dict[tuple[str, str], list[str]] = {}
    for rule in rules():
        if "alert" in rule:
            parts = re.split(r"({{.*?}})", rule["annotations"]["summary"])
            pattern = "".join(_filled(part) for part in parts)
            found.setdefault((rule["alert"], rule["labels"]["severity"]), []).append(pattern)
    return {key: f"(?:{'|'.join(patterns)})" for key, patterns in found.items()}


def _filled(part: str) -> str:
    """A pattern of what a part of a summary becomes: a number, a label, or what it is."""
    if not part.startswith("{{"):
        return re.escape(part)
    return r"-?\d[\w.+-]*%?(?: \d+\w)*" if "$value" in part else r"[^\s<>]+"


SUMMARIES = _summaries()
TWOFOLD = {name for name, n in Counter(alert for alert, _ in SUMMARIES).items() if n > 1}


def line(alert: str, severity: str, channel: str) -> str:
    """A pattern of how a message says what an alert has to say, which fires."""
    summary = SUMMARIES[alert, severity]
    if channel == "slack":
        circle = "red" if severity == "critical" else "large_yellow"
        return rf"^:{circle}_circle: \*{summary}\*\s*$"
    return rf"^{severity.upper()} {alert}\s*\n{summary}\s*$"


def check_title(said: Said) -> None:
    """Check a title: it is of one of the alerts, and has what that has to say."""
    found = re.fullmatch(r"([A-Z]+) (\w+): (.*?)(?: \(\d+ firing, \d+ resolved\))?", said.title)
    assert found, said.title
    severity, alert, summary = found.groups()
    assert re.fullmatch(SUMMARIES[alert, severity.lower()], summary), said.title
