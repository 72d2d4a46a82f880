"""``make chaos``: sends three signals to each part of ``make run`` in each phase of its life.

The signals are SIGKILL, SIGSTOP and SIGTERM.
"""
