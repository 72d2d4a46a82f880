"""Keeps only the author's own words of a commit message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from model.training.importers.records import LeftOut

#: Lines that name people or other commits, wherever they stand. git knows trailers at the end only.
_NAMES = re.compile(
    r"[A-Z][A-Za-z-]+-by:|Change-Id:|git-svn-id:|\(cherry picked from commit |"
    r"This reverts commit [0-9a-f]{7,}"
)
_BLANK_LINES = re.compile(r"\n{3,}")
#: The title that git gives to a commit that takes back another, or takes it in again.
_REVERT = re.compile(r"(?:Revert|Reapply) \".*\"$")
#: First line of a patch.
_PATCH = re.compile(r"\s*(?:diff --git |Index: \S+$|--- a/|\+\+\+ b/|@@ -\d+(?:,\d+)? \+\d+)")
#: A further line of a patch.
_IN_PATCH = re.compile(
    r"$|[ \t+@\\-]|index [0-9a-f]|(?:new|deleted) file mode|(?:old|new) mode|similarity |rename |"
    r"={60}"
)
#: Names of programs that write commits and mails.
_BOTS = re.compile(
    r"\[bot\]|\b(?:dependabot|renovate|greenkeeper|github-actions?|gitlab-bot|pre-commit-ci|"
    r"semantic-release-bot|snyk-bot|pyup-bot|allcontributors|weblate|copybara)\b",
    re.IGNORECASE,
)


def is_bot(name: str, address: str) -> bool:
    """Returns whether a name or an e-mail address is that of a program."""
    return any(_BOTS.search(one) for one in (name, address.partition("@")[0]))


def own_words(message: str, trailers: str) -> str:
    """Returns a commit message without trailers, quoted lines and patches.

    ``trailers`` is the end of ``message`` that git reports as trailers, such as ``Signed-off-by:``.
    If git wrote the title because the commit reverts another commit, the title is left out too.

    Raises:
        LeftOut: no other words are left.
    """
    lines = message.rstrip().removesuffix(trailers.rstrip()).splitlines()
    reverts = bool(lines and _REVERT.match(lines[0]))
    kept = "\n".join(_kept(lines[1:] if reverts else lines)).strip()
    if not kept:
        raise LeftOut("reverts without a reason" if reverts else "without words of their own")
    return _BLANK_LINES.sub("\n\n", kept)


def _kept(lines: Iterable[str]) -> Iterator[str]:
    """Yields the lines, except quotes, lines of patches, and lines such as ``Reviewed-by:``."""
    patch = False
    for line in lines:
        patch = bool(_PATCH.match(line) or (patch and _IN_PATCH.match(line)))
        if not (patch or _NAMES.match(line) or line.startswith(">")):
            yield line
