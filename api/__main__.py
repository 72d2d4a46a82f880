"""Starts the API server: ``python -m api``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from api.access.keys import Keys
from celery_app.settings import Settings, SettingsError
from monitoring.instruments import multiprocess

#: Connections that the kernel queues until the server accepts them.
BACKLOG = 4096
#: Seconds for which the server keeps an idle connection open. Load balancers close idle connections
#: earlier, so the server closes no connection while a request is on its way.
KEEP_ALIVE_S = 75


def main(arguments: list[str]) -> int:
    """Runs the API server until a signal stops it. Returns the exit status: 0 or, on error, 2."""
    try:
        settings = Settings.from_environ(os.environ)
        settings.check_packages()
        if settings.keys_file is not None:
            Keys.read(settings.keys_file)  # only a check: an error stops the start
        accelerator_module = Path(__file__).with_name("accelerator") / "server.py"
        if settings.accelerator == "on" and not accelerator_module.is_file():
            raise SettingsError("api/accelerator/ does not exist; set BYLINE_ACCELERATOR=off")
        options = _options(arguments, settings)
        if reason := multiprocess.port_error(settings.metrics_host, settings.api_metrics_port):
            raise SettingsError(f"BYLINE_API_METRICS_PORT can't be used: {reason}")
    except SettingsError as error:
        print(f"byline api: {error}", file=sys.stderr)
        return 2
    # After a clean stop, the server raises the signal again, which would kill this process.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with multiprocess.folder():
        # prometheus-client looks for the folder on import, so the folder must exist before.
        server = "api.accelerator.server" if settings.accelerator == "on" else "api.plain_server"
        serve = import_module(server).serve
        serve(settings, BACKLOG, KEEP_ALIVE_S, options.graceful_timeout)
    return 0


def _options(arguments: list[str], settings: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument(
        "--graceful-timeout",
        type=int,
        # The longest wait that a client may ask for, and five seconds more.
        default=int(settings.wait_max_s) + 5,
        help="seconds a stopping process has to answer its requests (%(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
