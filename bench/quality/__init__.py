"""Measures the quality that training reaches on corpora of several kinds, beside a reference."""
