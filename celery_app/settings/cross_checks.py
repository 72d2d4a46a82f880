"""Finds settings that contradict each other, and finds unusable URLs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from celery_app.settings.errors import SettingsError, env_name
from celery_app.settings.secret_url import SecretURL

#: Pairs of settings, with the reason why the first setting must not be above the second.
_IN_ORDER = (
    ("chunk_messages", "batch_messages", "a task must fit in a batch"),
    ("max_bulk", "dispatcher_messages", "a bulk request must fit in the dispatcher"),
    ("max_characters", "max_body_bytes", "a message must fit in a body"),
    ("wait_s", "wait_max_s", "the default wait must be an allowed one"),
    ("wait_max_s", "result_ttl_s", "an answer must outlive the wait for it"),
    ("memory_warning", "memory_critical", "a warning comes first"),
)

_SCHEMES = ("redis://", "rediss://")
#: Parameters that a URL of Redis with TLS may have: redis-py, kombu and Celery all know them.
_TLS = {
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_keyfile",
    "ssl_password",
}
#: Values of ``ssl_cert_reqs``.
_CERT_REQS = ("none", "optional", "required")


def check_together(settings: Any) -> None:
    """Checks that no setting contradicts another setting, and that the URLs can be used.

    Raises:
        SettingsError: two settings contradict each other, or a URL can't be used. The error names
            the settings.
    """
    for smaller, larger, reason in _IN_ORDER:
        low, high = getattr(settings, smaller), getattr(settings, larger)
        if low > high:
            raise SettingsError(
                f"{env_name(smaller)}={low} is above {env_name(larger)}={high}: {reason}"
            )
    if settings.worker_number >= settings.workers:
        raise SettingsError(
            f"BYLINE_WORKER_NUMBER={settings.worker_number} is not below "
            f"BYLINE_WORKERS={settings.workers}: the first worker is number 0"
        )
    _refuse_shared_ports(settings)
    for field in ("redis_url", "cache_url"):
        url = getattr(settings, field)
        if url is not None and (reason := _unusable(url)):
            raise SettingsError(f"{env_name(field)}={url!r}: {reason}")
    _refuse_logins_in_links(settings)


def _unusable(url: str) -> str:
    """Returns the reason why a Redis URL can't be used; an empty string if it can be used."""
    if not url.startswith(_SCHEMES):
        return f"must begin with {' or '.join(_SCHEMES)}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = None
    if parts is None or parts.fragment or "@" in parts.path + parts.query:
        return "can't be read: write :, /, ?, # and @ of a password as %3A, %2F, %3F, %23 and %40"
    if not re.fullmatch(r"(/\d*)?", parts.path):
        return "only the number of a database may follow the /"
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _TLS or parts.scheme != "rediss":
            return f"{name!r} can't be set here: rediss:// takes {', '.join(sorted(_TLS))}"
        if name == "ssl_cert_reqs" and value not in _CERT_REQS:
            return f"ssl_cert_reqs is one of {', '.join(_CERT_REQS)}"
    return ""


def _refuse_logins_in_links(settings: Any) -> None:
    for field in ("docs_url", "grafana_url"):
        link = getattr(settings, field)
        if link is not None and "@" in link.partition("//")[2].partition("/")[0]:
            raise SettingsError(
                f"{env_name(field)}={SecretURL(link)!r}: the console shows this link; leave user "
                "and password out of it"
            )


def _refuse_shared_ports(settings: Any) -> None:
    taken: dict[int, str] = {}
    for field in (field for field in settings.__struct_fields__ if field.endswith("_port")):
        port = getattr(settings, field)
        if port and port in taken:
            raise SettingsError(
                f"{env_name(taken[port])} and {env_name(field)} are both {port}: "
                "each part needs a port of its own"
            )
        taken[port] = field
