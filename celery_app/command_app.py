"""Byline's app for Celery's own commands, such as ``celery -A celery_app inspect`` and Flower.

An import of this module builds the app. No other module builds Byline's app on import.
"""

import os
from typing import Any

from celery import bootsteps
from celery.app.control import Control
from kombu.transport import TRANSPORT_ALIASES
from kombu.utils.url import parse_url

# Imported now, because later Celery takes the current folder off the import path.
import celery_app.transport.redacting  # noqa: F401
from celery_app.app import make_celery
from celery_app.settings import Settings
from tasks.messages import TASK


class RefuseStep(bootsteps.Step):
    """Ends a worker that is started with this app, because this app has no model."""

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        raise SystemExit(
            "byline: this app is for Celery's other commands, and its worker would fail every "
            "task; run `python -m celery_app.worker`, which takes the options of `celery worker`"
        )


class ShownControl(Control):
    """Celery's remote control, changed so that Flower shows why a worker refuses a time limit.

    Flower does not show a worker's error reply. So this class turns an error reply into a success
    reply whose text begins with "refused".
    """

    def time_limit(self, *args: Any, **kwargs: Any) -> Any:
        """Asks the workers to change a task's time limits, and returns their replies.

        Turns an error reply into a success reply with the error's text. Only Flower calls this
        method.
        """
        return [
            {node: _shown(reply) for node, reply in replies.items()}
            for replies in super().time_limit(*args, **kwargs) or ()
        ]


def _shown(reply: dict[str, str]) -> dict[str, str]:
    return {"ok": f"refused: {reply['error']}"} if "error" in reply else reply


def _attribute(*_: Any, **__: Any) -> None:
    """Stands in for Byline's task, so that Flower finds the task in this app.

    Flower can change only the limits of tasks that its app has. A call of this function raises
    ``NotImplementedError``, because only a worker has the real task.
    """
    raise NotImplementedError("only a worker, `python -m celery_app.worker`, has the task")


settings = Settings.from_environ(os.environ)
# Celery's command line needs the app as an attribute of a module.
app = make_celery(settings)
app.control_cls = ShownControl
# Flower recognises the kind of a broker by the scheme of the broker's URL. A name of its own for
# Byline's transport would replace this scheme. So Byline's transport takes over Redis's schemes.
_TRANSPORT = "celery_app.transport.redacting:Transport"
TRANSPORT_ALIASES.update(redis=_TRANSPORT, rediss=_TRANSPORT)
app.conf.broker_transport = None
if app.conf.broker_use_ssl:  # Flower's page of the broker does not read the URL's parameters
    app.conf.broker_use_ssl |= parse_url(settings.broker.reveal()).get("ssl", {})
app.task(_attribute, name=TASK)
app.steps["worker"].add(RefuseStep)
