"""A transformer with an attribution head."""

from model.transformer.classifier import TransformerModel

__all__ = ["TransformerModel"]
