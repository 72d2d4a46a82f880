"""Rules that look back on seconds, so that a test need not wait for minutes."""

from __future__ import annotations

import re

#: What the rules look back on, and how far they do here.
HURRIED = {
    "30s": "8s",
    "1m": "10s",
    "2m": "15s",
    "5m": "15s",
    "15m": "60s",
    "30m": "30s",
    "1h": "45s",
    "2h": "45s",
    "6h": "50s",
    "1d": "90s",
    "3d": "100s",
}
#: The least requests, and messages, that say something: in a minute there are fewer than in a day.
LEAST = r"(record: threshold:byline_\w+:least\n +expr: )1000"


def hurried(rules: str) -> str:
    """Return rules that look back less far, and do not wait."""
    rules = re.sub(r"\[(\w+)\]", lambda found: f"[{HURRIED[found[1]]}]", rules)
    rules = re.sub(LEAST, r"\g<1>100", rules)
    rules = re.sub(r"^( +for:) \w+$", r"\1 2s", rules, flags=re.MULTILINE)
    return re.sub(r"^( +interval:) \w+$", r"\1 1s", rules, flags=re.MULTILINE)
