"""The settings of Byline, read from the environment: ``Settings.from_environ(os.environ)``."""

from celery_app.settings.checks import SettingsError
from celery_app.settings.errors import PREFIX
from celery_app.settings.settings import MODELS, Settings

#: Bytes of a GiB, the unit in which memory is sold.
GIB = 2**30

__all__ = ["GIB", "MODELS", "PREFIX", "Settings", "SettingsError"]
