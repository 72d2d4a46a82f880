"""Logs of a worker: their setup, and the redaction of message texts."""
