"""``make chaos``: sends SIGKILL, SIGSTOP and SIGTERM to each part of ``make run``.

Each signal is sent in each phase: while Byline starts, serves clients or stops.
"""
