"""The logs of a worker: their format, and the removal of message texts."""
