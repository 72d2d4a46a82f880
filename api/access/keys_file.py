"""The file of API keys, read again when it changes, so that revoking a key needs no restart."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from api.access.keys import ApiKey, Keys
from celery_app.settings import SettingsError
from monitoring.instruments import background

logger = logging.getLogger(__name__)

#: Seconds between two looks at the file. A change is in force after two looks.
LOOK_S = 0.5

#: What tells one state of the file from another; None: it can't be looked at.
Stamp = tuple[int, ...] | None


class KeysFile:
    """Finds keys in what the file held when it was last good."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            SettingsError: the file is bad. There are no earlier keys to go on with.
        """
        self._path = path
        self._read = self._seen = _stamp(path)  # before it is read: what changes then is seen later
        self._keys = Keys.read(path)
        #: Why the file was bad at the last look; empty: it was not.
        self._logged = ""

    def find(self, authorization: str) -> ApiKey | None:
        """Return whose key is in an ``Authorization`` header; None: nobody's."""
        return self._keys.find(authorization)

    def start(self) -> None:
        """Look at the file from now on, in a thread of its own."""
        background.start(self._look_later, "A look at the keys file")

    def look(self) -> None:
        """Read the file if it has changed since it was read, and not since the last look.

        A file that changes from look to look is still being written: half of it may look whole.
        A bad file leaves the keys as they are, and is logged once for each reason.
        """
        seen, self._seen = self._seen, _stamp(self._path)
        if self._seen == self._read:
            self._logged = ""
        elif self._seen == seen:
            self._read_again()

    def _read_again(self) -> None:
        try:
            self._keys = Keys.read(self._path)
        except SettingsError as error:  # tried again: it may be that no file could be opened
            if self._logged != str(error):
                self._logged = str(error)
                logger.warning("%s; the keys that were read before stay in force", error)
        else:
            self._read = self._seen
            logger.warning("%s has changed; its keys are in force now", self._path)

    def _look_later(self) -> None:
        time.sleep(LOOK_S)
        self.look()


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
