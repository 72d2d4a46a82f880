"""A Flask application with fake services that answer every request, without Redis."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from unittest.mock import Mock

from flask import Flask

from api.app import create_app
from api.http_response import HttpResponse, json_response
from api.request_metrics import RequestMetrics
from api.runtime import Runtime
from celery_app.settings import Settings

DONE = json_response({"done": True})


class Services:
    """Stands in for all services, and counts the requests."""

    def __init__(self) -> None:
        self.asked = 0
        self.attributions = self.feedback = self.figures = self
        self.client = Mock()
        self.client.dispatcher.wait_s = 0.0
        self.metrics = Mock(RequestMetrics)
        self.model_registry = self.client.model_registry
        self.model_registry.parts.return_value = {}
        self.model_registry.versions.return_value = {"v1": 1.0}
        self.model_registry.workers.side_effect = self._workers
        self.model_registry.workers_of.return_value = 1
        self.model_registry.current.return_value = Mock(card={}, device="cpu")

    async def create(self, *_: object) -> HttpResponse:
        await asyncio.sleep(0)
        return self.count()

    read = create

    def _workers(self) -> int:
        self.count()
        return 1

    def count(self) -> HttpResponse:
        self.asked += 1
        return DONE


class FakeRuntime(Runtime):
    """A runtime with the fake services. The runtime starts no thread and no connection."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.services: Any = Services()
        self._pid = os.getpid()

    def ensure_started(self) -> None:
        pass

    def run(self, coroutine: Any) -> Any:
        return asyncio.run(coroutine)


def fake_app(**settings: str) -> Flask:
    """Returns the application with these settings."""
    return create_app(FakeRuntime(Settings.from_environ(settings)))
