"""Rewrites the links from pages to files outside docs/, so that the links work on the site.

mkdocs calls the functions ``on_…``. The files that :data:`EXTRA_PAGES` names become pages of the
site. A link to any other file outside docs/ becomes plain text. A link to a missing file causes a
warning, which ends a strict build.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: Markdown files outside docs/ that are pages of the site, under their paths in the repository.
EXTRA_PAGES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "alerting/runbooks/*.md",
    "model/weights/*/CARD.md",
)

#: A link or an image: its words, and where it leads. Titles are not used on these pages.
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
logger = logging.getLogger("mkdocs.hooks.links")


def on_files(files: Files, config: Any) -> Files:
    """Adds the Markdown files that :data:`EXTRA_PAGES` names to the site's pages."""
    for pattern in EXTRA_PAGES:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Rewrites the links of a page, except for links inside fenced blocks of code."""
    folder = Path(page.file.abs_src_path).parent
    uri = page.file.src_uri

    def mended(link: re.Match[str]) -> str:
        words, target = link[1], link[2]
        path, _, anchor = target.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return link[0]
        return _mended(words, (folder / path).resolve(), anchor, uri, files)

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(mended, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join((*parts, _LINK.sub(mended, markdown[end:])))


def _mended(words: str, target: Path, anchor: str, uri: str, files: Files) -> str:
    """Returns a link from the page ``uri`` to the file ``target``, or plain text in its place."""
    if not target.exists():
        logger.warning("%s links to %s, which does not exist", uri, target)
        return words
    known = target.relative_to(DOCS if target.is_relative_to(DOCS) else ROOT).as_posix()
    if files.get_file_from_path(known) is None:
        # The site has no such file, and can't link to a repository on the web, because the
        # repository has no known address.
        path = target.relative_to(ROOT).as_posix()
        return words if path in words else f"{words} (`{path}`)"
    link = os.path.relpath(known, Path(uri).parent)
    return f"[{words}]({link}{'#' if anchor else ''}{anchor})"
