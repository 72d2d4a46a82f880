"""Turns what pip prints into a few words on what it does now."""

from __future__ import annotations

import re

#: A wheel's name and version, behind its address; and the size that pip adds.
_WHEEL = r"(?:\S*/)?([\w.]+-[\w.!+]+)[-%]\S+\s*(\([\d.]+ \w+\))?"
#: Lines of pip, and what they mean.
_MEANINGS = (
    (re.compile(rf"\s*Downloading {_WHEEL}"), "downloading"),
    (re.compile(rf"\s*Using cached {_WHEEL}"), "taking from pip's cache"),
    (re.compile(rf"Processing {_WHEEL}"), "reading"),
    (re.compile(r"Collecting ([\w.-]+)"), "looking for"),
    (re.compile(r"\s*Building wheel for ([\w.-]+)"), "building"),
)
_INSTALLING = re.compile(r"Installing collected packages: (.*)")


class PipOutput:
    """Follows the lines that pip prints."""

    def __init__(self) -> None:
        #: What pip does now, such as ``downloading torch-2.13.0 (190.2 MB)``.
        self.doing = "starting"
        #: Whether pip writes into the environment. Until then, it fetches.
        self.installs = False
        #: All lines so far.
        self.lines: list[str] = []

    def follow(self, line: str) -> None:
        """Takes one line."""
        self.lines.append(line.rstrip())
        if found := _INSTALLING.match(line):
            self.installs = True
            number = found[1].count(",") + 1
            self.doing = f"installing {number} package{'s' if number > 1 else ''}"
            return
        for pattern, verb in _MEANINGS:
            if found := pattern.match(line):
                self.doing = " ".join(filter(None, (verb, *found.groups())))
                return

    def errors(self) -> str:
        """Returns pip's errors, or its last lines where it names none."""
        named = [line for line in self.lines if line.lstrip().startswith("ERROR")]
        return "\n".join(named or self.lines[-10:])
