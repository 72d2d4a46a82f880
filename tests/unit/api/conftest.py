"""The api's tests use the fixtures of the client's tests: an event loop, and a dispatcher."""

from __future__ import annotations

from tests.unit.celery_app.client.conftest import anyio_backend, desk, no_lingering

__all__ = ["anyio_backend", "desk", "no_lingering"]
