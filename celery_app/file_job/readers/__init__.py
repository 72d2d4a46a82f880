"""Readers of the input of a file job: JSON lines, CSV and Parquet, in blocks of rows."""
