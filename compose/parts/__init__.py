"""The parts that ``make run`` starts: command, address and health of each."""
