"""Serves a text classifier of the library transformers from a folder, without code of one's own."""

from model.huggingface.classifier import HuggingFaceModel

__all__ = ["HuggingFaceModel"]
