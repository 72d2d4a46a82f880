"""Trains a new model version on old data and on feedback, and compares it with the old version."""
