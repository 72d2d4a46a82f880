"""The fixture ``processor``: a batch processor with fakes around it."""

from __future__ import annotations

import pytest

from tests.unit.tasks.fakes import Processor


@pytest.fixture
def processor() -> Processor:
    return Processor()
