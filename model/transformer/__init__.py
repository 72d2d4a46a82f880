"""The second shipped model: a BERT encoder with a linear head, combined with the n-gram model."""

from model.transformer.classifier import TransformerModel

__all__ = ["TransformerModel"]
