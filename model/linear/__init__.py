"""Fits penalised linear classifiers to sparse features, one author against all others."""
