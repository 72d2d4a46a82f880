"""Describes Alertmanager as a part of ``make run``, and writes its configuration.

Alertmanager sends alerts to the console, and to each channel, such as Slack, whose secret exists.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from celery_app.settings import Settings
from compose.parts import health
from compose.parts.byline import api_url
from compose.parts.logins import MonitoringLogin, write_private
from compose.parts.part import LOOPBACK, Part, url_host
from compose.parts.prometheus import RULES, URL_FILE

FOLDER = RULES / "alertmanager"
CONFIGURATION = FOLDER / "alertmanager.yml"
#: The receiver for the console. Its alerts go to the monitor.
CONSOLE = "console"
#: The template with the addresses at which links begin.
LINKS = FOLDER / "templates" / "links.tmpl"
#: The template's line about the address of the runbooks has this text unless a user has edited it.
DEFAULT_DOCS = '"byline.repository" }}http://localhost:8000{{'
_TEMPLATE = '{{ define "byline.repository" }}{{ %s }}{{ end }}\n'
#: For each kind of channel: the global setting that names the file with the secret. Channels whose
#: own settings name no file use this file.
_SECRET = {"slack_configs": "slack_api_url_file", "email_configs": "smtp_auth_password_file"}
#: Settings of a channel that hold the secret itself.
_INLINE = ("api_url", "auth_password", "routing_key", "service_key")

Map = dict[str, Any]


class Unfit(Exception):
    """Alertmanager's configuration, which users may edit, is unusable. The error says why."""


def part(
    settings: Settings, folder: Path, program: str, login: MonitoringLogin
) -> tuple[Part, str]:
    """Returns Alertmanager as a part of ``make run``, and a text for the user on where alerts go.

    ``folder`` gets the configuration and the data. ``program`` is the path of Alertmanager's
    program.

    Raises:
        Unfit: the configuration is missing or invalid.
    """
    monitor = f"http://{url_host(settings.metrics_host)}:{settings.monitor_port}"
    try:
        given = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
        configuration = configured(given, FOLDER, monitor)
    except OSError as error:
        raise Unfit(f"{CONFIGURATION}: {error}") from None
    except yaml.YAMLError as error:  # not printed: the error quotes the file and its secrets
        mark = getattr(error, "problem_mark", None)
        line = f", see line {mark.line + 1}" if mark else ""
        raise Unfit(f"{CONFIGURATION} is not YAML{line}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Not repr(error), which holds the whole file if the error is a decoding error.
        words = f"{type(error).__name__}: {error}"
        raise Unfit(f"{CONFIGURATION} is no configuration of Alertmanager: {words}") from None
    folder.mkdir(exist_ok=True)
    if docs := docs_url(settings, LINKS.read_text("utf-8")):
        (folder / LINKS.name).write_text(_TEMPLATE % json.dumps(docs), "utf-8")
        configuration["templates"].append(str(folder / LINKS.name))  # the last definition counts
    written = folder / CONFIGURATION.name
    written.unlink(missing_ok=True)  # an existing file would keep its mode
    written.touch(0o600)  # the configuration may hold secrets
    written.write_text(yaml.safe_dump(configuration, sort_keys=False), "utf-8")
    here = f"http://{LOOPBACK}:{settings.alertmanager_port}"
    command = (
        program,
        f"--config.file={written}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{settings.alertmanager_port}",
        # The external URL appears in notifications, so it must not have the prefix. Alertmanager
        # redirects users to the prefix once they have logged in.
        *(f"--web.external-url={here}", f"--web.route-prefix=/{login.prefix}"),
        f"--web.config.file={login.web_config}",
        "--cluster.listen-address=",  # no cluster
        "--log.level=warn",
    )
    address = f"{LOOPBACK}:{settings.alertmanager_port}/{login.prefix}"
    write_private(folder / URL_FILE, login.url(address) + "\n")
    well = health.page(f"{here}/{login.prefix}/-/ready", login=login.pair)
    part = Part("alertmanager", command, here, well, rank=3, stop_s=3, vital=False)
    return part, channels(configuration)


def docs_url(settings: Settings, links: str) -> str | None:
    """Returns the URL at which the alerts' links to runbooks begin; None to keep the present URL.

    A URL in the settings comes first. ``links`` is the text of the template with the present URL.
    If a user has edited this URL, the result is None. Otherwise the result is the api's URL.
    """
    if settings.docs_url is not None:
        return settings.docs_url.rstrip("/")
    # The api serves the runbooks.
    return api_url(settings) if DEFAULT_DOCS in links else None


def channels(configuration: Map) -> str:
    """Returns a text for the user on where the alerts of ``configuration`` go."""
    kinds = {
        kind.removesuffix("_configs")
        for receiver in configuration["receivers"]
        for kind, each in receiver.items()
        if receiver["name"] != CONSOLE and kind.endswith("_configs") and each
    }
    return (
        f"the console, {', '.join(sorted(kinds))}" if kinds else "the console; no secret is given"
    )


def configured(configuration: Map, folder: Path, monitor: str) -> Map:
    """Returns Alertmanager's configuration for this run, without channels that lack a secret.

    Relative paths begin at ``folder``, and become absolute. Alerts for the console go to
    ``monitor``, the monitor's URL.
    """
    whole: Map = _absolute(configuration, folder)
    common = whole["global"]
    for receiver in whole["receivers"]:
        for kind in [key for key in receiver if key.endswith("_configs")]:
            fallback = common.get(_SECRET.get(kind, ""))
            # Alertmanager could not send to a channel without its secret.
            receiver[kind] = [each for each in receiver[kind] if _has_secrets(each, fallback)]
        if receiver["name"] == CONSOLE:
            [webhook] = receiver["webhook_configs"]
            webhook["url"] = f"{monitor}/alerts"
    return whole


def _absolute(value: Any, folder: Path) -> Any:
    """Returns ``value`` with absolute paths of files. Relative paths begin at ``folder``.

    ``value`` is the configuration, or a value at any depth in it.
    """
    if isinstance(value, list):
        return [_absolute(each, folder) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _absolute(each, folder) for key, each in value.items()}
    found |= {key: str(folder / file) for key, file in value.items() if key.endswith("_file")}
    if "templates" in value:
        found["templates"] = [str(folder / pattern) for pattern in value["templates"]]
    return found


def _has_secrets(channel: Map, fallback: str | None) -> bool:
    if any(key in channel for key in _INLINE):
        return True
    named = list(_files(channel))
    return all(Path(file).exists() for file in named or filter(None, [fallback]))


def _files(value: Any) -> Any:
    """Yields the files that a channel's settings name, at any depth of nesting."""
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _files(each)
        elif key.endswith("_file"):
            yield each
