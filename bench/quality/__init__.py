"""Trains models on several kinds of corpora, and compares their quality with a reference."""
