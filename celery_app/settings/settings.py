"""All settings of Byline in one frozen object. No other module reads ``BYLINE_…`` variables."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from celery_app.settings.cross_checks import check_together
from celery_app.settings.errors import PREFIX, SettingsError, in_words, unknown
from celery_app.settings.password_files import with_password
from celery_app.settings.secret_url import SecretURL
from celery_app.settings.switches import is_on
from celery_app.settings.system_settings import SystemSettings
from celery_app.settings.valid_values import valid_values
from model.types import MODELS
from monitoring.instruments import tracing

#: Settings that are on or off.
SWITCHES = frozenset({"accelerator", "api_pinned", "tracing"})


class Settings(SystemSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings. The environment variable ``BYLINE_<NAME>`` sets the field ``<name>``.

    The main function of a process reads the settings once, and passes them on.
    """

    def __post_init__(self) -> None:
        """Checks that no value contradicts another, and makes each Redis URL a ``SecretURL``.

        Raises:
            SettingsError: two values contradict each other, or a URL can't be used.
        """
        for field in ("redis_url", "cache_url"):
            if (url := getattr(self, field)) is not None:
                msgspec.structs.force_setattr(self, field, SecretURL(url))
        check_together(self)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Builds the settings from the variables that begin with ``BYLINE_``.

        An empty variable counts as unset. The URLs get the passwords from the password files.

        Raises:
            SettingsError: a name is unknown, a value is wrong, two values contradict each other, or
                a password file can't be used.
        """
        values = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX) and value != ""
        }
        for field in values:
            if field not in cls.__struct_fields__:
                raise SettingsError(unknown(field, cls.__struct_fields__))
        for field in SWITCHES & values.keys():
            with suppress(ValueError):  # msgspec refuses an invalid value
                values[field] = "on" if is_on(values[field]) else "off"
        try:
            settings = msgspec.convert(
                values, cls, strict=False, dec_hook=lambda kind, value: kind(value)
            )
        except msgspec.ValidationError as error:
            raise SettingsError(in_words(str(error), values, cls._valid_values)) from None
        return msgspec.structs.replace(
            settings,
            redis_url=with_password("redis", settings.redis_url, settings.redis_password_file),
            cache_url=with_password("cache", settings.cache_url, settings.cache_password_file),
        )

    def check_packages(self) -> None:
        """Checks that the packages that the settings need are installed.

        Raises:
            SettingsError: tracing is on, and the packages of the extra ``otel`` are missing.
        """
        if self.tracing == "on" and not tracing.is_installed():
            raise SettingsError(
                "BYLINE_TRACING=on needs the extra `otel`, which is not installed: "
                "python -m pip install -r requirements/otel.lock"
            )

    @classmethod
    def _valid_values(cls, field: str) -> str:
        """Returns in words what the value of a setting must be."""
        info: Any = msgspec.inspect.type_info(cls)
        return valid_values(next(each.type for each in info.fields if each.name == field))

    @property
    def broker(self) -> SecretURL:
        """The URL of the broker.

        Raises:
            SettingsError: ``redis_url`` is not set.
        """
        if self.redis_url is None:
            raise SettingsError(
                "BYLINE_REDIS_URL is not set. `make run` starts an embedded Valkey and sets it; "
                "a part started by hand needs the URL of a Redis or Valkey server"
            )
        return self.redis_url

    @property
    def prefetch(self) -> int:
        """The upper bound of the number of tasks that a worker holds.

        The worker's batcher has a second limit: the sum of the work in the waiting tasks.
        """
        # This number of tasks fills at least four batches, even if each task holds only one
        # message: two batches are on the device, and two wait.
        return 4 * self.batch_messages

    @property
    def host_names(self) -> frozenset[str] | None:
        """The host names that the api accepts in requests; None if ``hosts`` is not set."""
        return None if self.hosts is None else frozenset(re.split(r" *, *", self.hosts))

    @property
    def here(self) -> str:
        """The name of this machine: the setting ``machine``, or the host name."""
        return self.machine or socket.gethostname()

    @property
    def model_class(self) -> str:
        """The class of the model to serve, as ``package.module:Class``."""
        return MODELS.get(self.model, self.model)

    @property
    def cache(self) -> SecretURL:
        """The URL of the cache: ``cache_url``, or the broker's URL if ``cache_url`` is not set."""
        return self.cache_url or self.broker
