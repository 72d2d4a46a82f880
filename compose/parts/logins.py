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
#: The environment variable from which Flower reads ``user:password``. The password is not an
#: argument of Flower, because all users of this machine can read arguments.
VARIABLE = "FLOWER_BASIC_AUTH"
#: The file with Flower's password.
FILE = "flower-password"
#: The file with the password of Prometheus and Alertmanager. monitoring/prometheus/prometheus.yml
#: names this file, too.
MONITORING_FILE = "monitoring-password"


class MonitoringLogin(NamedTuple):
    """The login for Prometheus and Alertmanager, which share a user and a password."""

    password: str
    #: The file for the option ``--web.config.file`` of Prometheus and Alertmanager.
    web_config: Path
    #: The random first segment of all URL paths of Alertmanager, new at each start. A page of
    #: another site can't guess this segment. Otherwise the page could post alerts to an
    #: Alertmanager older than 0.27: the browser adds the remembered password to the page's
    #: requests.
    prefix: str
    #: A text for the user on where the password is.
    words: str

    @property
    def pair(self) -> str:
        """The login in the form ``user:password``."""
        return f"{USER}:{self.password}"

    def url(self, address: str) -> str:
        """Returns the URL of ``address``, a host with port and path, with the login in it."""
        return f"http://{USER}:{quote(self.password, safe='')}@{address}"


def flower_login(folder: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """Returns Flower's login as ``user:password``, and a text for the user on where to find it.

    If ``environ`` has a login, returns this login, and does not read the password file in
    ``folder``.
    """
    if given := environ.get(VARIABLE):
        return given.partition(",")[0], f"login in {VARIABLE}"
    password, words = _read_or_make(folder / FILE)
    return f"{USER}:{password}", words


def monitoring_login(folder: Path) -> MonitoringLogin:
    """Returns the login of Prometheus and Alertmanager, and writes the password's hash for them.

    Reads the password from a file in ``folder``. A missing file is made, with a random password.

    Raises:
        CannotRun: the password is too long.
    """
    file, web_config = folder / MONITORING_FILE, folder / "monitoring-web.yml"
    password, words = _read_or_make(file)
    if is_outdated(web_config, file):
        try:
            write_private(web_config, web_configuration(password))
        except ValueError as error:
            raise CannotRun(f"{file}: {error}") from None
    return MonitoringLogin(password, web_config, secrets.token_urlsafe(12), words)


def is_outdated(web_config: Path, password_file: Path) -> bool:
    """Returns whether the password's hash has to be computed again.

    ``web_config`` is the file with the hash. The hash is outdated if ``web_config`` is missing, or
    older than ``password_file``. The check saves time, because the computation takes half a second.
    """
    if not web_config.exists():
        return True
    return web_config.stat().st_mtime_ns < password_file.stat().st_mtime_ns


def web_configuration(password: str) -> str:
    """Returns a configuration that makes Prometheus and Alertmanager ask for the password.

    The option ``--web.config.file`` of both programs names a file with this configuration. The
    configuration holds the password's hash.
    """
    return f"basic_auth_users: {{{USER}: '{bcrypt.hashed(password)}'}}\n"


def _read_or_make(file: Path) -> tuple[str, str]:
    """Returns the password in ``file``, and a text for the user on where the password is.

    A missing file is made, with a random password.
    """
    if not file.exists():
        write_private(file, secrets.token_urlsafe(12) + "\n")
    return file.read_text().strip(), f"user {USER}, password in {os.path.relpath(file)}"


def write_private(file: Path, text: str) -> None:
    """Writes ``text`` to a file that only its owner can read.

    The file appears in one step, so that no program reads a password that is only half written.
    """
    with NamedTemporaryFile("w", dir=file.parent, delete=False) as output:
        output.write(text)
    Path(output.name).replace(file)
