"""Reads the input of a file job, JSON lines, CSV or Parquet, in blocks of rows."""
