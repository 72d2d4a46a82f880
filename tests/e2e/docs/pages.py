"""The pages of the docs: their text, their fences, and the programs that their commands need."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from tests.parts import ROOT

#: First lines of the two fences for other hosts.
HOSTS = ("# On the host of a worker.", "# On the host of an api.")
#: Pages with a Byline of their own, which serves a model that the page or its test makes.
TRAINED_PAGE = "tutorial/support-mail"
HUGGING_FACE_PAGE = "how-to/huggingface"
RETRAIN_PAGE = "how-to/retrain"
#: Programs that the commands of the pages need.
TOOLS = ("curl", "pgrep")
needs_tools = pytest.mark.skipif(
    None in map(shutil.which, TOOLS) and os.environ.get("CI") != "true",
    reason=f"needs {' and '.join(TOOLS)}",
)
#: A fence of a page: its language and its content.
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def page_text(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")
