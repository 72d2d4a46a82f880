"""The parts that ``make run`` starts: the command, the address and the health check of each."""
