"""Alertmanager, started with Prometheus: tells the console, and whoever a secret is given for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from celery_app.settings import Settings
from compose.parts import health
from compose.parts.part import LOOPBACK, Part, reached
from compose.parts.password import MonitoringLogin, write_private
from compose.parts.prometheus import RULES, URL_FILE

FOLDER = RULES / "alertmanager"
CONFIGURATION = FOLDER / "alertmanager.yml"
#: The receiver that is the console: the monitor listens for it.
CONSOLE = "console"
#: Which of the global settings names the file that a channel needs, where it names none itself.
_SECRET = {"slack_configs": "slack_api_url_file", "email_configs": "smtp_auth_password_file"}
#: Secrets that are in a channel itself.
_INLINE = ("api_url", "auth_password", "routing_key", "service_key")

Map = dict[str, Any]


class Unfit(Exception):
    """The configuration, which is the user's to change, can't be used. Says why."""


def part(
    settings: Settings, folder: Path, program: str, login: MonitoringLogin
) -> tuple[Part, str]:
    """Returns the part, of which ``folder`` holds the configuration and the data, and who is told.

    Raises:
        Unfit: there is no such configuration, or it is none.
    """
    monitor = f"http://{reached(settings.metrics_host)}:{settings.monitor_port}"
    try:
        given = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
        configuration = configured(given, FOLDER, monitor)
    except OSError as error:
        raise Unfit(f"{CONFIGURATION}: {error}") from None
    except yaml.YAMLError as error:  # its words quote the file, and a secret may be in it
        mark = getattr(error, "problem_mark", None)
        place = f", see line {mark.line + 1}" if mark else ""
        raise Unfit(f"{CONFIGURATION} is not YAML{place}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        words = f"{type(error).__name__}: {error}"  # a decoding error's repr holds the whole file
        raise Unfit(f"{CONFIGURATION} is not as Alertmanager's are: {words}") from None
    folder.mkdir(exist_ok=True)
    written = folder / CONFIGURATION.name
    written.unlink(missing_ok=True)  # as whom it may be read by stays with a file
    written.touch(0o600)  # a secret may be in it
    written.write_text(yaml.safe_dump(configuration, sort_keys=False), "utf-8")
    here = f"http://{LOOPBACK}:{settings.alertmanager_port}"
    command = (
        program,
        f"--config.file={written}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{settings.alertmanager_port}",
        # Without the prefix, for it gets into messages. Who has logged in there is sent to it.
        *(f"--web.external-url={here}", f"--web.route-prefix=/{login.prefix}"),
        f"--web.config.file={login.web_config}",
        "--cluster.listen-address=",  # it is alone
        "--log.level=warn",
    )
    address = f"{LOOPBACK}:{settings.alertmanager_port}/{login.prefix}"
    write_private(folder / URL_FILE, login.url(address) + "\n")
    well = health.page(f"{here}/{login.prefix}/-/ready", login=login.pair)
    part = Part("alertmanager", command, here, well, rank=3, stop_s=3, vital=False)
    return part, channels(configuration)


def channels(configuration: Map) -> str:
    """Return, for people, where alerts go besides the console."""
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
    """Returns a configuration as it is to be used here.

    Channels are left out whose secrets are not there: each alert would be an error. ``folder`` is
    where its files are, ``monitor`` the URL of what the console shows alerts of.
    """
    whole: Map = _absolute(configuration, folder)
    common = whole["global"]
    for receiver in whole["receivers"]:
        for kind in [key for key in receiver if key.endswith("_configs")]:
            fallback = common.get(_SECRET.get(kind, ""))
            receiver[kind] = [each for each in receiver[kind] if _has_secrets(each, fallback)]
        if receiver["name"] == CONSOLE:
            [webhook] = receiver["webhook_configs"]
            webhook["url"] = f"{monitor}/alerts"
    return whole


def _absolute(value: Any, folder: Path) -> Any:
    """Returns a value in which files are found from anywhere."""
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
    """Yields the files that a channel's settings name, at any depth."""
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _files(each)
        elif key.endswith("_file"):
            yield each
