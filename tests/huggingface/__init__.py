"""Small Hugging Face models for tests, made from configurations, with tokenizers of their own.

A module that imports this package is skipped unless transformers is installed. In CI, it must be.
"""

from __future__ import annotations

import os

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("transformers", reason="the extra `huggingface` is not installed")
