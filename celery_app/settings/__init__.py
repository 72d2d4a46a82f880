"""The settings of Byline: ``Settings.from_environ(os.environ)`` reads the environment."""

from celery_app.settings.errors import PREFIX, SettingsError
from celery_app.settings.settings import Settings
from model.types import MODELS

#: Bytes of a GiB.
GIB = 2**30

__all__ = ["GIB", "MODELS", "PREFIX", "Settings", "SettingsError"]
