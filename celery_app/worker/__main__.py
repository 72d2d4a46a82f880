"""Starts a worker on the command line: ``python -m celery_app.worker [options of celery worker]``."""

import sys

from celery_app.worker.main import main

sys.exit(main(sys.argv[1:]))
