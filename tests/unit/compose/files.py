"""Reads the files of compose/ for tests."""

from __future__ import annotations

from typing import Any

import yaml

from tests.parts import ROOT

FOLDER = ROOT / "compose"
FILES = sorted(FOLDER.glob("compose*.yaml"))
DOCKERFILES = sorted((FOLDER / "images").glob("*.Dockerfile"))

#: The content of compose.yaml, with YAML's anchors merged.
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("api", "worker", "monitor", "flower")


def environment(file: str) -> dict[str, str]:
    """Returns the variables of an env file, by name."""
    lines = (FOLDER / file).read_text("utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


DEFAULTS = environment("defaults.env")
