"""Trains models on several kinds of corpora, and compares the models with a tuned SVM."""
