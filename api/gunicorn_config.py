"""gunicorn's configuration, from Byline's settings."""

import os

from celery_app.settings import Settings

_settings = Settings.from_environ(os.environ)

bind = f"{_settings.api_host}:{_settings.api_port}"
workers = _settings.api_processes
worker_class = "gevent"
#: Connections a process serves at once; each is a greenlet.
worker_connections = 2000
backlog = 4096
#: Seconds an idle connection is kept; a stopping process waits for its idle ones, too.
keepalive = 5
#: Seconds a stopping process has to answer what it has taken: the longest wait, and a little.
graceful_timeout = int(_settings.wait_max_s) + 5
loglevel = _settings.log_level.lower()
proc_name = "byline-api"
#: Two services of one user would share the socket; signals are all that is needed.
control_socket_disable = True
