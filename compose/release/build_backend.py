"""A build backend that lists requirements for ``make lock``, and refuses ``pip install .``.

Byline's packages have common names, such as ``tasks``. If pip installed Byline, one package could
hide another of the same name.
"""

from __future__ import annotations

from typing import Any, NoReturn

from setuptools.build_meta import get_requires_for_build_wheel, prepare_metadata_for_build_wheel

__all__ = ["get_requires_for_build_wheel", "prepare_metadata_for_build_wheel"]

REFUSAL = (
    "byline: Byline is no package to install. Run it from its folder (make run) or from its images "
    "(make up). For programs of your own, make client builds the wheel byline-client."
)


def build_wheel(*_: Any, **__: Any) -> NoReturn:
    """Refuses to build a wheel; called by ``pip install .``."""
    raise SystemExit(REFUSAL)


build_editable = build_sdist = get_requires_for_build_editable = build_wheel
