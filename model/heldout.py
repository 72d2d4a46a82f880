"""The messages that the shipped models never saw: ``python -m model.heldout FILE.jsonl``.

For whoever wants to measure the models anew, as the load tests do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from model.training.corpus import HELD_OUT_FOLD, load_sotu


def main(arguments: list[str]) -> int:
    """Write text and author of each held-out message, a JSON object a line."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    messages = load_sotu().part(HELD_OUT_FOLD)
    rows = (json.dumps({"text": m.text, "author": m.author}) + "\n" for m in messages)
    Path(arguments[0]).write_text("".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
