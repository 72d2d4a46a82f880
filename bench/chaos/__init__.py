"""``make chaos``: sends SIGKILL, SIGSTOP and SIGTERM to each part of ``make run`` in each phase."""
