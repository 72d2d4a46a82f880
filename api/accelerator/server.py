"""Serves the API with uvicorn, and with the HTTP protocol and ASGI application of this folder."""

from __future__ import annotations

import uvicorn

from api.accelerator.fast_protocol import FastHttpProtocol
from celery_app.settings import Settings
from monitoring.instruments import logs

#: Seconds after which the parent process kills a child process that does not answer. A new child
#: process must also start within this time. With uvicorn's default of 5 seconds, a rolling restart
#: failed on a busy machine.
READY_S = 20


def serve(settings: Settings, backlog: int, keep_alive_s: int, graceful_timeout_s: int) -> None:
    """Serves the API until the process gets a signal to stop.

    ``backlog`` limits the connections that wait to be accepted. A stopping process has
    ``graceful_timeout_s`` seconds to answer its requests.
    """
    uvicorn.run(
        "api.accelerator.asgi_app:create",
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_processes,
        loop="uvloop",
        http=FastHttpProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        timeout_worker_healthcheck=READY_S,
        # Byline does not use the client's address, so uvicorn trusts no header that names it.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=logs.configuration("api", settings.log_level, settings.log_format),
        log_level=settings.log_level.lower(),
        backlog=backlog,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=graceful_timeout_s,
    )
