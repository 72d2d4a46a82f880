"""A small HTTP server that Byline's processes use for their metrics ports.

Each request has a thread of its own. On a loopback address, the server refuses requests from web
pages of other sites (see :mod:`monitoring.instruments.origins`).
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
#: Seconds for which a client may send nothing before the server closes the connection.
CLIENT_TIMEOUT_S = 10
#: Seconds to wait after a connection could not be accepted. The connection stays in the backlog.
#: Without a pause, the next attempt would follow at once, and the attempts would keep a core busy.
ACCEPT_PAUSE_S = 0.1
#: Status line for each reason to refuse a request.
_STATUS = {"wrong_host": "421 Misdirected Request", "foreign_origin": "403 Forbidden"}


class Listener:
    """An HTTP server that answers requests from its creation until :meth:`stop`."""

    def __init__(
        self,
        application: WSGI,
        host: str,
        port: int,
        shared: bool = False,
        twice_a_second: Callable[[], object] = lambda: None,
    ) -> None:
        """Opens the port and starts the server's thread.

        ``application`` answers the requests. ``shared`` lets other processes listen on ``port``
        too. The server's thread calls ``twice_a_second`` at least every half second.

        Raises:
            OSError: the port can't be opened.
        """
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        regularly = background.guarded(twice_a_second, "the regular step of a metrics server")

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
        """Stops answering and closes the port."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()


def _guarded(application: WSGI, host: str) -> WSGI:
    """Returns a WSGI application that refuses requests from web pages of other sites.

    The returned application passes all other requests to ``application``. If ``host`` is not a
    loopback address, the returned application refuses no requests.
    """
    check = check_for(host)

    def respond(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        reason = check(environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"))
        if not reason:
            return application(environ, start)
        start(_STATUS[reason], [("Content-Type", "text/plain")])
        return [f"{reason}\n".encode()]

    return respond


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a request that is being answered does not delay the process's end

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._failures = background.Failures("answering a request")
        super().__init__(*args, **kwargs)

    def get_request(self) -> tuple[Any, Any]:
        """Accepts a connection. Raises an error only after a pause of ``ACCEPT_PAUSE_S`` seconds.

        An error occurs, for example, while the process has no free file descriptor.
        """
        try:
            return super().get_request()
        except OSError:
            time.sleep(ACCEPT_PAUSE_S)
            raise  # socketserver ignores the error, and accepts further connections

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs the error that a request raised, except a lost connection or a timeout."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, ConnectionError | TimeoutError):
            self._failures.add(error)


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: Prometheus sends a request every few seconds."""
