"""Reads the lines that pip prints, and says in a few words what pip is doing."""

from __future__ import annotations

import re

#: Matches a wheel's name and version, after the wheel's address, and the size that pip prints.
_WHEEL = r"(?:\S*/)?([\w.]+-[\w.!+]+)[-%]\S+\s*(\([\d.]+ \w+\))?"
#: Patterns of pip's lines, and words for what pip does when it prints such a line.
_MEANINGS = (
    (re.compile(rf"\s*Downloading {_WHEEL}"), "downloading"),
    (re.compile(rf"\s*Using cached {_WHEEL}"), "taking from pip's cache"),
    (re.compile(rf"Processing {_WHEEL}"), "reading"),
    (re.compile(r"Collecting ([\w.-]+)"), "looking for"),
    (re.compile(r"\s*Building wheel for ([\w.-]+)"), "building"),
)
_INSTALLING = re.compile(r"Installing collected packages: (.*)")


class PipOutput:
    """The lines that pip has printed so far, and what pip is doing now."""

    def __init__(self) -> None:
        #: What pip does now, such as ``downloading torch-2.13.0 (190.2 MB)``.
        self.doing = "starting"
        #: Whether pip already writes into the environment. Before that, pip downloads packages.
        self.installs = False
        #: All lines that pip has printed so far.
        self.lines: list[str] = []

    def follow(self, line: str) -> None:
        """Adds a line that pip has printed. The line shows what pip is doing now."""
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
        """Returns the lines in which pip reports errors; pip's last 10 lines if there are none."""
        named = [line for line in self.lines if line.lstrip().startswith("ERROR")]
        return "\n".join(named or self.lines[-10:])
