"""Fits a penalised linear classifier for each author, against all others, to sparse features."""
