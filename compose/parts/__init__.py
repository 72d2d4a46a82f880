"""What ``make run`` starts: each part's command, where it is reached, and when it is well."""
