"""Ignores the tests of the accelerator if this copy of Byline has no accelerator."""

from __future__ import annotations

from tests.parts import ACCELERATED

collect_ignore = [] if ACCELERATED else ["api/accelerator"]
