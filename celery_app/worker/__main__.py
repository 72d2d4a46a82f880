"""The command ``python -m celery_app.worker [options of celery worker]``, which starts a worker."""

import sys

from celery_app.worker.main import main

sys.exit(main(sys.argv[1:]))
