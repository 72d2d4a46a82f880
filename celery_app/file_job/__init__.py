"""The file job: ``python -m celery_app.file_job`` attributes the messages of a whole file.

The job sends the messages with the client library, and writes one result for each row of the file.
"""
