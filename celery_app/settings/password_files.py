"""Reads the passwords of Redis from files, and puts them into the URLs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit

from celery_app.settings.errors import SettingsError, env_name
from celery_app.settings.secret_url import SecretURL


def with_password(server: str, url: SecretURL | None, file: Path | None) -> SecretURL | None:
    """Returns ``url`` with the password in ``file``, or ``url`` unchanged if ``file`` is None.

    Error texts name the settings of ``server``, which is ``redis`` or ``cache``.

    Raises:
        SettingsError: the file can't be read or is empty, ``url`` is None, or ``url`` has a
            password already.
    """
    if file is None:
        return url
    setting, of = env_name(f"{server}_password_file"), env_name(f"{server}_url")
    if url is None:
        raise SettingsError(f"{setting} is set, and {of}, which it is for, is not")
    parts = urlsplit(url)  # check_together has checked the URL
    if parts.password is not None:
        raise SettingsError(f"{setting} is set, and {of} holds a password already")
    try:
        password = file.read_text("utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{setting}={file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{setting}={file}: not UTF-8") from None
    if not password:
        raise SettingsError(f"{setting}={file}: the file is empty")
    user, _, host = parts.netloc.rpartition("@")
    user = user.removesuffix(":")
    whole = parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}")
    return SecretURL(whole.geturl())
