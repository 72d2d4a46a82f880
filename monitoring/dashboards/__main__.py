"""Writes the dashboards' JSON files: ``python -m monitoring.dashboards [--out FOLDER]``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.dashboards import performance, quality, resource

#: The function that builds each dashboard, by the dashboard's name.
BUILDERS = {
    "performance": performance.build,
    "resource": resource.build,
    "quality": quality.build,
}
#: The folder of the generated files.
FOLDER = Path(__file__).parent / "json"


def render(name: str) -> str:
    """Returns the text of the JSON file of the dashboard ``name``; the same text at each call."""
    built = BUILDERS[name]()
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the JSON file of every dashboard into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.dashboards", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name in BUILDERS:
        (folder / f"{name}.json").write_text(render(name), encoding="utf-8")


if __name__ == "__main__":
    main()
