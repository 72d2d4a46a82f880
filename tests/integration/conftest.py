"""Clients of the api, one for each way to serve the api."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.ways import WAYS, Http, opened
from tests.parts import Stack


@pytest.fixture(scope="session", params=WAYS)
def way(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Http]:
    with opened(request.param, stack) as client:
        yield client


@pytest.fixture
def http(way: Http, stack: Stack) -> Http:
    """Returns a client. The cache has no result of another way to serve the api."""
    for key in stack.redis.scan_iter("byline:result:*"):
        stack.redis.delete(key)
    return way
