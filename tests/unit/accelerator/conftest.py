"""The loop that the api runs on, and a desk: as for the tests of the api."""

from __future__ import annotations

from tests.unit.api.conftest import anyio_backend, desk, no_lingering

__all__ = ["anyio_backend", "desk", "no_lingering"]
