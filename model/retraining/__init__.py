"""Trains a new model version on the old data and on texts with feedback, and compares versions."""
