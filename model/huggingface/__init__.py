"""Serves a text classifier of the library transformers from its folder. The user writes no code."""

from model.huggingface.classifier import HuggingFaceModel

__all__ = ["HuggingFaceModel"]
