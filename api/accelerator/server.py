"""uvicorn, with Byline's protocol and application: the server of the accelerator."""

from __future__ import annotations

import uvicorn

from api.accelerator.protocol import Protocol
from celery_app.settings import Settings
from monitoring.instruments import logs

#: Seconds after which a process that does not answer its parent is taken for hung. A new one has as
#: long to start; with uvicorn's 5 seconds, a busy machine gave up a rolling restart.
READY_S = 20


def serve(settings: Settings, backlog: int, keep_alive_s: int, graceful_timeout_s: int) -> None:
    """Serve until told to stop."""
    uvicorn.run(
        "api.accelerator.asgi_app:create",
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_processes,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        timeout_worker_healthcheck=READY_S,
        # Whose address it is, nothing here asks; who is in front is a matter of its own.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=logs.configuration("api", settings.log_level, settings.log_format),
        log_level=settings.log_level.lower(),
        backlog=backlog,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=graceful_timeout_s,
    )
