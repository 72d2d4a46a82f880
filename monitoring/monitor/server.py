"""The monitor's HTTP port: serves its metrics, and receives alerts from Alertmanager."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app

from monitoring.instruments.listener import WSGI, Listener
from monitoring.state.alerts import MAX_MESSAGE_BYTES, Alerts

#: URL path to which Alertmanager posts alerts.
PATH = "/alerts"


def serve(host: str, port: int, registry: CollectorRegistry, alerts: Alerts) -> None:
    """Starts a thread that serves the metrics and receives alerts until the process ends.

    Raises:
        OSError: the port can't be opened.
    """
    Listener(application(registry, alerts), host, port)


def application(registry: CollectorRegistry, alerts: Alerts) -> WSGI:
    """Returns the WSGI application that serves the metrics and receives alerts."""
    metrics: WSGI = make_wsgi_app(registry)

    def respond(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            return metrics(environ, start)
        status, reason = _receive(environ, alerts)
        body = f"{reason}\n".encode() if reason else b""
        start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return respond


def _receive(environ: dict[str, Any], alerts: Alerts) -> tuple[str, str]:
    """Reads a message that Alertmanager has posted, and adds the alerts in it to ``alerts``.

    Returns the HTTP status and a text. The text is the reason if the message is refused, else "".
    """
    if environ["REQUEST_METHOD"] != "POST":
        return "405 Method Not Allowed", "only POST is allowed here: Alertmanager posts alerts"
    # A page in a browser can send this content type to another site only after a preflight request,
    # which this server refuses.
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip() != "application/json":
        return "415 Unsupported Media Type", "alerts must be application/json"
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()):
        return "411 Length Required", "the request must have a Content-Length"
    if int(length) > MAX_MESSAGE_BYTES:
        return "413 Content Too Large", f"the body may have at most {MAX_MESSAGE_BYTES} bytes"
    try:
        alerts.receive(environ["wsgi.input"].read(int(length)))
    except OSError:
        return "408 Request Timeout", "the body is shorter than its Content-Length"
    except (ValueError, RecursionError) as error:
        return "400 Bad Request", f"not a message of Alertmanager: {error}"
    return "204 No Content", ""
