"""``make run``: runs every part of Byline as a process on this machine, without containers."""
