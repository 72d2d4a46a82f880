"""The dispatcher with fakes, for tests of the api."""

from tests.unit.celery_app.client.desk import Desk, attribution, idle

__all__ = ["Desk", "attribution", "idle"]
