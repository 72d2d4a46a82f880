"""``make chaos``: sends each part of ``make run`` three signals in each phase of its life."""
