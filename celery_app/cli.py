"""Byline's app for Celery's own commands: ``celery -A celery_app.cli inspect active``, Flower.

The only module that builds at import: Celery's command line looks for a module attribute.
"""

import os

from celery_app.app import make_celery
from celery_app.settings import Settings

app = make_celery(Settings.from_environ(os.environ))
