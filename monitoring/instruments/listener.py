"""Small HTTP servers of Byline's processes, for metrics: one thread for each, and each request.

On the loopback address they refuse what another site's page may have sent.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from monitoring.instruments import background
from monitoring.instruments.origins import check_for

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
#: Seconds for which a client may be silent.
PATIENCE_S = 10
#: Seconds to wait where a connection can't be accepted: it stays in the backlog, and the next
#: attempt would follow at once.
PAUSE_S = 0.1
_STATUS = {"wrong_host": "421 Misdirected Request", "foreign_origin": "403 Forbidden"}


class Listener:
    """A server that answers from now on."""

    def __init__(
        self,
        application: WSGI,
        host: str,
        port: int,
        shared: bool = False,
        twice_a_second: Callable[[], object] = lambda: None,
    ) -> None:
        """``shared``: other processes listen on the port, too.

        Raises:
            OSError: the port can't be had.
        """
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        regularly = background.guarded(twice_a_second, "what a server does between requests")

        class Server(_Server):
            allow_reuse_port = shared
            address_family = family

            def service_actions(self) -> None:
                regularly()

        guarded = _guarded(application, host)
        self._server = make_server(host, port, guarded, Server, handler_class=_Handler)
        self._stopping = threading.Event()
        background.start(self._server.serve_forever, "metrics", self._stopping)

    def stop(self) -> None:
        """Answer no more, and close the port."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()


def _guarded(application: WSGI, host: str) -> WSGI:
    """Return an application that answers no page of another site."""
    check = check_for(host)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        reason = check(environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"))
        if not reason:
            return application(environ, start)
        start(_STATUS[reason], [("Content-Type", "text/plain")])
        return [f"{reason}\n".encode()]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a request that is being answered keeps no process from ending

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._failures = background.Failures("answering a request")
        super().__init__(*args, **kwargs)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; where that can't be, as no descriptor is left, wait a moment."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(PAUSE_S)
            raise  # the server goes on

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log the error that was raised, where it is news."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, ConnectionError | TimeoutError):
            self._failures.add(error)


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a scrape every few seconds is no news."""
