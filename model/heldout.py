"""Writes the held-out messages to a file: messages that the shipped models were not trained on.

``python -m model.heldout FILE.jsonl`` writes a JSON object with ``text`` and ``author`` on each
line. The load tests send these messages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from model.training.corpus import HELD_OUT_FOLD, load_sotu


def main(arguments: list[str]) -> int:
    """Writes the held-out messages to the file that the command line names.

    Returns the exit status: 0, or 2 if ``arguments`` are not exactly one file name.
    """
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    messages = load_sotu().part(HELD_OUT_FOLD)
    rows = (json.dumps({"text": m.text, "author": m.author}) + "\n" for m in messages)
    Path(arguments[0]).write_text("".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
