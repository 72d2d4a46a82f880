"""The texts of messages with feedback, kept for training if ``BYLINE_KEEP_FEEDBACK`` is set."""
