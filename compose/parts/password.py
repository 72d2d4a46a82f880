"""Passwords of the pages for who runs Byline: made once, in files that nobody else may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple
from urllib.parse import quote

from compose import bcrypt
from compose.parts.errors import CannotRun

#: The user they are for.
USER = "byline"
#: Where Flower looks for ``user:password``; a process's arguments can be read by everybody here.
VARIABLE = "FLOWER_BASIC_AUTH"
FILE = "flower-password"
#: Prometheus's and Alertmanager's, which monitoring/prometheus/prometheus.yml names, too.
MONITORING_FILE = "monitoring-password"


class MonitoringLogin(NamedTuple):
    """The login of Prometheus and Alertmanager."""

    password: str
    #: What their option ``--web.config.file`` takes.
    web_config: Path
    #: First part of all paths of Alertmanager, another one at each start. A browser adds a password
    #: that it remembers to what another site's page posts, and Alertmanager before 0.27 takes such
    #: alerts. The page can't guess the path.
    prefix: str
    #: Tells a person where the password is.
    words: str

    @property
    def pair(self) -> str:
        """``user:password``."""
        return f"{USER}:{self.password}"

    def url(self, address: str) -> str:
        """Returns the URL, with the login, of what listens on an address."""
        return f"http://{USER}:{quote(self.password, safe='')}@{address}"


def flower_login(folder: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """Returns ``user:password``, and words that say where a person finds it.

    What the user has set goes first.
    """
    if given := environ.get(VARIABLE):
        return given.partition(",")[0], f"login in {VARIABLE}"
    password, words = _kept(folder / FILE)
    return f"{USER}:{password}", words


def monitoring_login(folder: Path) -> MonitoringLogin:
    """Returns the login of Prometheus and Alertmanager, which read a file that has its hash.

    Raises:
        CannotRun: the file holds a password that is too long.
    """
    file, web_config = folder / MONITORING_FILE, folder / "monitoring-web.yml"
    password, words = _kept(file)
    if is_older(web_config, file):
        try:
            write_private(web_config, web_configuration(password))
        except ValueError as error:
            raise CannotRun(f"{file}: {error}") from None
    return MonitoringLogin(password, web_config, secrets.token_urlsafe(12), words)


def is_older(web_config: Path, password_file: Path) -> bool:
    """Returns whether the hash, which takes half a second, has to be computed for a password."""
    if not web_config.exists():
        return True
    return web_config.stat().st_mtime_ns < password_file.stat().st_mtime_ns


def web_configuration(password: str) -> str:
    """Returns what ``--web.config.file`` takes."""
    return f"basic_auth_users: {{{USER}: '{bcrypt.hashed(password)}'}}\n"


def _kept(file: Path) -> tuple[str, str]:
    """Returns the password in a file, which is made if it is not there, and words on where it is."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(12) + "\n")
    return file.read_text().strip(), f"user {USER}, password in {os.path.relpath(file)}"


def write_private(file: Path, text: str) -> None:
    """Writes a file for its owner only, whole or not at all: half a password would be one."""
    with NamedTemporaryFile("w", dir=file.parent, delete=False) as output:
        output.write(text)
    Path(output.name).replace(file)
