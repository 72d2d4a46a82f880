"""Serve the api: ``python -m api``."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path

from api.access.keys import Keys
from celery_app.settings import Settings, SettingsError
from monitoring.instruments import multiprocess

#: Connections that may wait to be accepted.
BACKLOG = 4096
#: Seconds an idle connection is kept: longer than load balancers keep theirs, so that none is
#: closed under a request.
KEEP_ALIVE_S = 75


def main(arguments: list[str]) -> int:
    """Serve as the environment says, until told to stop. Returns the exit status."""
    try:
        settings = Settings.from_environ(os.environ)
        if settings.keys_file is not None:
            Keys.read(settings.keys_file)  # each process reads it again; here it can say why not
    except SettingsError as error:
        print(f"byline api: {error}", file=sys.stderr)
        return 2
    own = Path(__file__).with_name("accelerator") / "server.py"
    if settings.accelerator == "on" and not own.is_file():
        words = "api/accelerator/ is not there; set BYLINE_ACCELERATOR=off"
        print(f"byline api: {words}", file=sys.stderr)
        return 2
    options = _options(arguments, settings)
    if reason := _taken(settings.metrics_host, settings.api_metrics_port):
        print(f"byline api: BYLINE_API_METRICS_PORT can't be used: {reason}", file=sys.stderr)
        return 2
    # Stopped in good order, the server raises the signal once more, and would die of it.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with multiprocess.folder():
        # Imported here: prometheus-client looks for the folder when it is imported.
        server = "api.accelerator.server" if settings.accelerator == "on" else "api.plain_server"
        serve = import_module(server).serve
        serve(settings, BACKLOG, KEEP_ALIVE_S, options.graceful_timeout)
    return 0


def _taken(host: str, port: int) -> str:
    """Return why nobody can listen there; empty: one can.

    The processes share the port: two apis would, too, and each would tell half of the truth.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        return str(error)
    return ""


def _options(arguments: list[str], settings: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument(
        "--graceful-timeout",
        type=int,
        # The longest wait, and a little.
        default=int(settings.wait_max_s) + 5,
        help="seconds a stopping process has to answer what it has taken (%(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
