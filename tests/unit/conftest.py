"""Tests of the accelerator are collected where it is: it may be deleted."""

from __future__ import annotations

from tests.parts import ACCELERATED

collect_ignore = [] if ACCELERATED else ["api/accelerator"]
