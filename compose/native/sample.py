"""The sample message's process, as the runner has it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from celery_app.settings import Settings

MODULE = "compose.native.sample_message"
#: Seconds that it may take in all.
SAMPLE_S = 45.0


class Sample:
    """The sample message's process, which must not end the rest, whatever becomes of it."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], url: str) -> None:
        #: What to say of it, once it does not run any more.
        self.words = ""
        self._process: subprocess.Popen[str] | None = None
        if settings.keys_file is not None:
            self._failed("BYLINE_KEYS_FILE is set, and a key is nowhere to be read")
            return
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "utf8", "-m", MODULE, url],
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
            )
        except OSError as error:
            self._failed(str(error))

    def __enter__(self) -> Sample:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def send(self) -> None:
        """Have it sent."""
        self._until = time.monotonic() + SAMPLE_S
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it has ended
                self._process.stdin.write("\n")
                self._process.stdin.flush()

    def runs(self) -> bool:
        """Return whether there is nothing to say yet."""
        if self._process is None:
            return False
        if self._process.poll() is None:
            if time.monotonic() < self._until:
                return True
            self._process.kill()
            self._failed(f"no answer within {SAMPLE_S:g} s")
        elif self._process.returncode == 0:
            self.words = self._process.stdout.read() if self._process.stdout else ""
        else:
            said = self._process.stdout.read().strip() if self._process.stdout else ""
            self._failed(said or f"its process ended with status {self._process.returncode}")
        return False

    def _failed(self, reason: str) -> None:
        self.words = f"byline: the sample message was not attributed: {reason}"
