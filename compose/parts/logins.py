"""Makes and keeps the passwords of Flower, Prometheus and Alertmanager, in private files."""

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

#: The user that logs in with the passwords.
USER = "byline"
#: The environment variable from which Flower reads ``user:password``. All users of this machine
#: could read its arguments.
VARIABLE = "FLOWER_BASIC_AUTH"
#: The file with Flower's password.
FILE = "flower-password"
#: The file with the password of Prometheus and Alertmanager. monitoring/prometheus/prometheus.yml
#: names it, too.
MONITORING_FILE = "monitoring-password"


class MonitoringLogin(NamedTuple):
    """The login for Prometheus and Alertmanager, which share a user and a password."""

    password: str
    #: The file for their option ``--web.config.file``.
    web_config: Path
    #: The random first part of all of Alertmanager's paths, new at each start. A browser adds a
    #: remembered password to requests that another site's page posts, and Alertmanager before 0.27
    #: accepts alerts in such requests. The other page can't guess the path.
    prefix: str
    #: Words for people on where the password is.
    words: str

    @property
    def pair(self) -> str:
        """The login as ``user:password``."""
        return f"{USER}:{self.password}"

    def url(self, address: str) -> str:
        """Returns the URL of ``address``, a host with port and path, with the login in it."""
        return f"http://{USER}:{quote(self.password, safe='')}@{address}"


def flower_login(folder: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """Returns Flower's login as ``user:password``, and words for the user on where to find it.

    A login in the environment has precedence over the file with the password in ``folder``.
    """
    if given := environ.get(VARIABLE):
        return given.partition(",")[0], f"login in {VARIABLE}"
    password, words = _kept(folder / FILE)
    return f"{USER}:{password}", words


def monitoring_login(folder: Path) -> MonitoringLogin:
    """Returns the login of Prometheus and Alertmanager, and writes the password's hash for them.

    The password is in a file in ``folder``, which is made where it is missing.

    Raises:
        CannotRun: the password in the file is too long.
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
    """Returns whether the password's hash has to be computed again.

    ``web_config`` has the hash. The hash is computed again where this file is missing or older than
    the password's, and else kept, because a hash takes half a second.
    """
    if not web_config.exists():
        return True
    return web_config.stat().st_mtime_ns < password_file.stat().st_mtime_ns


def web_configuration(password: str) -> str:
    """Returns the configuration with which Prometheus and Alertmanager ask for the password.

    Both read it from the file of their option ``--web.config.file``. It holds the password's hash.
    """
    return f"basic_auth_users: {{{USER}: '{bcrypt.hashed(password)}'}}\n"


def _kept(file: Path) -> tuple[str, str]:
    """Returns the password in ``file``, and words for the user on where it is.

    A missing file is made, with a random password.
    """
    if not file.exists():
        write_private(file, secrets.token_urlsafe(12) + "\n")
    return file.read_text().strip(), f"user {USER}, password in {os.path.relpath(file)}"


def write_private(file: Path, text: str) -> None:
    """Writes a file that only its owner can read, in one step.

    Without that, a program could read half of a password, and would accept it.
    """
    with NamedTemporaryFile("w", dir=file.parent, delete=False) as output:
        output.write(text)
    Path(output.name).replace(file)
