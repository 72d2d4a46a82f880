"""``make chaos``: each part of ``make run`` is struck in each phase, by each of three signals."""
