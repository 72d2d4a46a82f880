"""The monitor's port: its metrics to read, and alerts to be told of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app

from monitoring.instruments.listener import WSGI, Listener
from monitoring.state.alerts import LARGEST, Alerts

PATH = "/alerts"


def serve(host: str, port: int, registry: CollectorRegistry, alerts: Alerts) -> None:
    """Answer from a thread, for as long as the process lives.

    Raises:
        OSError: the port can't be had.
    """
    Listener(application(registry, alerts), host, port)


def application(registry: CollectorRegistry, alerts: Alerts) -> WSGI:
    """Return the WSGI application of both."""
    metrics: WSGI = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            return metrics(environ, start)
        status, words = _hear(environ, alerts)
        body = f"{words}\n".encode() if words else b""
        start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


def _hear(environ: dict[str, Any], alerts: Alerts) -> tuple[str, str]:
    """Take what was posted; return the status, and a word if it was refused."""
    if environ["REQUEST_METHOD"] != "POST":
        return "405 Method Not Allowed", "Alertmanager posts alerts here"
    # What a page in somebody's browser can't send without being asked first, and refused.
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip() != "application/json":
        return "415 Unsupported Media Type", "alerts are application/json"
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()):
        return "411 Length Required", "the length must be said"
    if int(length) > LARGEST:
        return "413 Content Too Large", f"{LARGEST} bytes are enough"
    try:
        alerts.hear(environ["wsgi.input"].read(int(length)))
    except OSError:
        return "408 Request Timeout", "less came than was announced"
    except (ValueError, RecursionError) as error:
        return "400 Bad Request", f"no message of Alertmanager: {error}"
    return "204 No Content", ""
