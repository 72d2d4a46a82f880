"""The default model: a linear classifier over hashed n-grams."""

from model.ngram.classifier import NgramModel

__all__ = ["NgramModel"]
