"""Reloads the file of API keys when it changes, so that a new or revoked key needs no restart."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from api.access.keys import ApiKey, Keys
from celery_app.settings import SettingsError
from monitoring.instruments import background

logger = logging.getLogger(__name__)

#: Seconds between two checks of the file. A change is in force after two checks.
CHECK_S = 0.5

#: Identifies a state of the file by its inode, size and times; ``None``: the file can't be read.
Stamp = tuple[int, ...] | None


class ReloadingKeys:
    """The API keys of the keys file. While the file is invalid, the earlier keys stay in force."""

    def __init__(self, path: Path) -> None:
        """Reads the keys file for the first time.

        Raises:
            SettingsError: the file is invalid.
        """
        self._path = path
        # The stamp is taken before the file is read, so that a change in between is seen later.
        self._loaded_stamp = self._last_stamp = _stamp(path)
        self._keys = Keys.read(path)
        #: The last error that was logged; empty while the file is valid.
        self._logged_error = ""

    def find(self, authorization: str) -> ApiKey | None:
        """Returns the key in an ``Authorization`` header; ``None`` if the file has no such key."""
        return self._keys.find(authorization)

    def start(self) -> None:
        """Starts a thread that calls :meth:`check` every :data:`CHECK_S` seconds."""
        background.start(self._check_later, "The check of the keys file")

    def check(self) -> None:
        """Reloads a changed file as soon as two checks in a row find the file in the same state.

        An invalid file changes no keys. The same error is logged only once.
        """
        previous, self._last_stamp = self._last_stamp, _stamp(self._path)
        if self._last_stamp == self._loaded_stamp:
            self._logged_error = ""
        elif self._last_stamp == previous:  # a file that is still being written may look valid
            self._reload()

    def _reload(self) -> None:
        try:
            self._keys = Keys.read(self._path)
        except SettingsError as error:  # the next check tries again: the error may be temporary
            if self._logged_error != str(error):
                self._logged_error = str(error)
                logger.warning("%s; the keys that were read before stay in force", error)
        else:
            self._loaded_stamp = self._last_stamp
            logger.warning("%s has changed; its keys are in force now", self._path)

    def _check_later(self) -> None:
        time.sleep(CHECK_S)
        self.check()


def _stamp(path: Path) -> Stamp:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
