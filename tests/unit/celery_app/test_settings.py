"""Settings come from the environment, and are refused if they contradict each other."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec.structs import asdict
from redis import Redis

from celery_app.app import make_celery
from celery_app.connections import connect
from celery_app.settings import Settings, SettingsError
from celery_app.settings.secret_url import SecretURL
from celery_app.settings.table import table


def test_defaults_hold_together() -> None:
    settings = Settings.from_environ({})
    assert settings.chunk_messages <= settings.batch_messages


def test_values_are_read_by_type() -> None:
    settings = Settings.from_environ(
        {
            "BYLINE_API_PORT": "81",
            "BYLINE_BATCH_WAIT_MS": "1.5",
            "BYLINE_STATE_DIR": "/somewhere",
            "BYLINE_MODEL_DIR": "",
            "PATH": "/bin",
        }
    )
    assert (settings.api_port, settings.batch_wait_ms) == (81, 1.5)
    assert (settings.state_dir, settings.model_dir) == (Path("/somewhere"), None)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"BYLINE_API_PORT": "http"}, ["BYLINE_API_PORT='http'", "whole number"]),
        ({"BYLINE_API_PORT": "0"}, ["BYLINE_API_PORT='0'", "from 1 to 65535"]),
        ({"BYLINE_DEVICE": "tpu"}, ["BYLINE_DEVICE='tpu'"]),
        ({"BYLINE_MODEL": "no class"}, ["BYLINE_MODEL='no class'"]),
        ({"BYLINE_WORKER_NAME": "nameless"}, ["BYLINE_WORKER_NAME='nameless'"]),
        ({"BYLINE_API_PROT": "80"}, ["BYLINE_API_PROT", "did you mean BYLINE_API_PORT?"]),
        ({"BYLINE_CHUNK_MESSAGES": "999"}, ["BYLINE_CHUNK_MESSAGES=999", "BYLINE_BATCH_MESSAGES"]),
        ({"BYLINE_MAX_BULK": "9999"}, ["BYLINE_MAX_BULK=9999", "BYLINE_DISPATCHER_MESSAGES=4096"]),
        ({"BYLINE_WAIT_S": "40"}, ["BYLINE_WAIT_S=40", "BYLINE_WAIT_MAX_S=30"]),
        ({"BYLINE_RESULT_TTL_S": "10"}, ["BYLINE_WAIT_MAX_S=30", "BYLINE_RESULT_TTL_S=10"]),
        ({"BYLINE_WORKER_NUMBER": "2"}, ["BYLINE_WORKER_NUMBER=2", "BYLINE_WORKERS=1"]),
        ({"BYLINE_KEEP_FEEDBACK": "0"}, ["BYLINE_KEEP_FEEDBACK='0'", "from 1 to 3650"]),
        ({"BYLINE_PRECISION": "int8"}, ["BYLINE_PRECISION='int8'"]),
        ({"BYLINE_MODEL": "bert"}, ["BYLINE_MODEL='bert'"]),
        ({"BYLINE_API_PORT": "5555"}, ["BYLINE_API_PORT", "BYLINE_FLOWER_PORT", "5555"]),
    ],
)
def test_wrong_and_contradicting_values_are_refused_by_name(
    environ: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ(environ)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown", "reason"),
    [
        ("redsi://:hush@host:1/0", "redsi://…@host:1/0", "must begin with redis://"),
        ("host:6379", "host:6379", "must begin with redis://"),
        (":hush@host:6379", "…@host:6379", "must begin with redis://"),
        ("redis://:hu/sh@host", "redis://…@host", "%2F"),
        ("redis://:hu#sh@host", "redis://…", "%23"),
        ("redis://:hu?sh@host", "redis://…", "%3F"),
        ("redis://:123?hush@host", "redis://…", "%3F"),
        ("redis://me?hush@host/0", "redis://…", "%3F"),
        ("redis://:a/hush#b@c@host", "redis://…", "%23"),
        ("redis://:a@hush@b/c@host:1/0", "redis://…@host:1/0", "%40"),
        ("redis+hush://:hush@host", "…@host", "must begin"),
        ("redis://host:hush", "redis://…", "can't be read"),
        ("redis://user:hush@[::1/0", "redis://…", "can't be read"),
        ("redis://:hush@host/first", "redis://…@host/first", "the number of a database"),
        ("redis://:hush@host/0?protocol=3", "redis://…@host/0?…", "'protocol' can't be set here"),
        ("redis://host/0?password=hush", "redis://host/0?…", "'password' can't be set here"),
        ("redis://host/0?ssl_ca_certs=x", "redis://host/0?…", "'ssl_ca_certs' can't be set here"),
        ("rediss://host/0?ssl_hush=x", "rediss://host/0?…", "ssl_ca_certs, "),
        ("rediss://host/0?ssl_cert_reqs=hush", "rediss://host/0?…", "none, optional, required"),
    ],
)
def test_a_url_that_can_not_be_used_is_refused_without_its_password(
    url: str, shown: str, reason: str
) -> None:
    for server in ("REDIS", "CACHE"):
        with pytest.raises(SettingsError) as refused:
            Settings.from_environ({f"BYLINE_{server}_URL": url})
        words = str(refused.value)
        assert words.startswith(f"BYLINE_{server}_URL='{shown}': ")
        assert reason in words
        assert "hu" not in words.partition(": ")[0]
        assert "hush" not in words.replace("ssl_hush", "")


@pytest.mark.parametrize("scheme", ["ftp", "https"])
def test_a_link_with_a_password_is_refused_without_showing_it(scheme: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"BYLINE_GRAFANA_URL": f"{scheme}://me:hush@grafana/d"})
    assert f"'{scheme}://…@grafana/d'" in str(refused.value)


@pytest.mark.parametrize("password", ["hush", "p@hush", "hu/hush", "hush#", "%hush:", "?hush"])
def test_settings_show_their_urls_without_passwords_however_they_are_printed(
    tmp_path: Path, password: str
) -> None:
    file = tmp_path / "password"
    file.write_text(password)
    settings = Settings.from_environ(
        {
            "BYLINE_REDIS_URL": "redis://me@127.0.0.1:1/0",
            "BYLINE_REDIS_PASSWORD_FILE": str(file),
            "BYLINE_CACHE_URL": f"redis://:{quote(password, safe='')}@127.0.0.1:2/0",
        }
    )
    for url, place in ((settings.broker, "127.0.0.1:1/0"), (settings.cache, "127.0.0.1:2/0")):
        assert str(url) == f"{url}" == f"redis://…@{place}"
        assert SecretURL(url) == url.reveal()
        for usable in (url, url.reveal()):
            kept = Redis.from_url(usable).connection_pool.connection_kwargs
            assert kept["password"] == password
    assert "hush" not in f"{settings} {settings!r} {[settings]} {asdict(settings)}"
    app = make_celery(settings)
    kept = app.backend.client.connection_pool.connection_kwargs
    assert (app.connection().password, kept["password"]) == (password, password)


@pytest.mark.parametrize("query", ["", "?ssl_ca_certs=/ca.pem&ssl_cert_reqs=optional"])
def test_a_url_with_user_password_and_tls_is_read_alike_by_all_libraries(query: str) -> None:
    """redis-py, kombu and Celery read the same values from the URL."""
    url = f"rediss://me:%23s%2F@127.0.0.1:1/3{query}"
    settings = Settings.from_environ({"BYLINE_REDIS_URL": url})
    app = make_celery(settings)
    for client in (connect(url), app.backend.client):
        kwargs = client.connection_pool.connection_kwargs
        assert (kwargs["username"], kwargs["password"], kwargs["db"]) == ("me", "#s/", 3)
    kombu = app.connection()
    assert (kombu.userid, kombu.password, kombu.virtual_host) == ("me", "#s/", "3")


def test_the_broker_without_a_url_is_refused() -> None:
    with pytest.raises(SettingsError, match="BYLINE_REDIS_URL is not set"):
        _ = Settings().broker


def test_the_cache_is_the_broker_unless_it_has_a_url() -> None:
    assert Settings(redis_url="redis://a").cache == "redis://a"
    assert "hush" not in repr(Settings(redis_url="redis://:hush@a"))
    assert Settings(redis_url="redis://a", cache_url="redis://b").cache == "redis://b"


@pytest.mark.parametrize(
    ("url", "password", "meant"),
    [
        ("redis://host:1/0", "secret\n", "redis://:secret@host:1/0"),
        ("rediss://byline@host/0?ssl_ca_certs=x", "s", "rediss://byline:s@host/0?ssl_ca_certs=x"),
        ("redis://[::1]:1/0", "p@ss/w:rd%", "redis://:p%40ss%2Fw%3Ard%25@[::1]:1/0"),
    ],
)
def test_a_password_in_a_file_is_put_into_the_url(
    tmp_path: Path, url: str, password: str, meant: str
) -> None:
    file = tmp_path / "password"
    file.write_text(password)
    for server in ("REDIS", "CACHE"):
        environ = {f"BYLINE_{server}_URL": url, f"BYLINE_{server}_PASSWORD_FILE": str(file)}
        settings = Settings.from_environ(environ)
        assert getattr(settings, f"{server.lower()}_url") == meant
    assert Redis.from_url(meant).connection_pool.connection_kwargs["password"] == password.strip()


def test_a_password_file_without_a_url_or_beside_a_password_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    given = {"BYLINE_REDIS_PASSWORD_FILE": str(file)}
    with pytest.raises(SettingsError, match="BYLINE_REDIS_URL, which it is for, is not"):
        Settings.from_environ(given)
    with pytest.raises(SettingsError, match="No such file"):
        Settings.from_environ({**given, "BYLINE_REDIS_URL": "redis://a/0"})
    file.write_text("hidden")
    with pytest.raises(SettingsError, match="holds a password already") as refused:
        Settings.from_environ({**given, "BYLINE_REDIS_URL": "redis://:other@a/0"})
    assert "hidden" not in str(refused.value)
    assert "other" not in str(refused.value)


def test_the_page_lists_every_setting() -> None:
    """If this test fails, `make settings` writes the table again."""
    page = (Path(__file__).parents[3] / "docs" / "settings.md").read_text("utf-8")
    assert table() in page
