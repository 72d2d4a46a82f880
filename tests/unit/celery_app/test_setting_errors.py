"""Errors of settings name the valid values. All switches accept the same words for on and off."""

from __future__ import annotations

from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from celery_app.settings import Settings, SettingsError
from celery_app.settings.settings import SWITCHES


@pytest.mark.parametrize(
    ("setting", "valid"),
    [
        ("BYLINE_ACCELERATOR=maybe", "must be on or off; true, 1 and yes, and false, 0 and no"),
        ("BYLINE_PRECISION=int8", "must be bf16, fp16 or fp32"),
        ("BYLINE_LOG_LEVEL=loud", "must be DEBUG, ERROR, INFO or WARNING"),
        ("BYLINE_LOG_FORMAT=xml", "must be json or text"),
        ("BYLINE_DEVICE=tpu", "must be auto, cpu, mps, cuda or cuda:N"),
        ("BYLINE_MODEL=bert", "must be ngram, transformer, huggingface, or your own class as "),
        ("BYLINE_WORKER_NAME=me", "must be a name with one @ inside"),
        ("BYLINE_HOSTS=a b", "must be host names, with commas between them"),
        ("BYLINE_GRAFANA_URL=grafana", "must begin with http:// or https://"),
        ("BYLINE_DOCS_URL=grafana", "must begin with http:// or https://"),
        ("BYLINE_API_PORT=http", "must be a whole number from 1 to 65535"),
        ("BYLINE_API_PORT=0", "must be a whole number from 1 to 65535"),
        ("BYLINE_PROMETHEUS_PORT=-1", "must be a whole number from 0 to 65535"),
        ("BYLINE_TORCH_THREADS=0", "must be a whole number of at least 1"),
        ("BYLINE_WAIT_S=0", "must be a number above 0"),
        ("BYLINE_MEMORY_WARNING=2", "must be a number above 0 and at most 1"),
        ("BYLINE_BATCH_WAIT_MS=x", "must be a number from 0 to 1000"),
    ],
)
def test_invalid_value_gets_an_error_with_the_valid_values(setting: str, valid: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({name: value})
    assert str(refused.value).startswith(f"{name}={value!r}: {valid}")


def test_no_error_shows_a_regular_expression() -> None:
    hints = get_type_hints(Settings, include_extras=True)
    for field in Settings.__struct_fields__:
        metas = getattr(hints[field], "__metadata__", ())
        if any(getattr(meta, "pattern", None) for meta in metas):
            with pytest.raises(SettingsError, match=": must ") as refused:
                Settings.from_environ({f"BYLINE_{field.upper()}": "?"})
            assert "regex" not in str(refused.value)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *((word, "on") for word in ("on", "true", "1", "yes", "TRUE", "Yes")),
        *((word, "off") for word in ("off", "false", "0", "no", "False")),
    ],
)
def test_words_for_on_and_off_are_alike(word: str, value: str) -> None:
    assert Settings.from_environ({"BYLINE_ACCELERATOR": word}).accelerator == value


def test_every_setting_that_is_on_or_off_takes_these_words() -> None:
    hints = get_type_hints(Settings)
    switches = {
        field
        for field, hint in hints.items()
        if hint is bool or (get_origin(hint) is Literal and set(get_args(hint)) == {"on", "off"})
    }
    assert switches == SWITCHES


def test_link_to_the_docs_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"BYLINE_DOCS_URL": "https://me:hush@docs/d"})
    assert "'https://…@docs/d'" in str(refused.value)
