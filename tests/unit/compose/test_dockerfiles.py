"""Tests of the Dockerfiles: pinned bases, two stages, an unprivileged user, and few files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import ROOT
from tests.unit.compose.files import DEFAULTS, DOCKERFILES, FOLDER, OURS, SERVICES

EACH = pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
LOCKS = ROOT / "requirements"


def instructions(file: Path) -> list[tuple[str, str]]:
    """Returns the instruction and the arguments of each line of a Dockerfile."""
    lines = file.read_text("utf-8").splitlines()
    split = (line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    return [(name, rest) for name, rest in split]


def test_there_is_one_dockerfile_for_each_role() -> None:
    assert {file.stem for file in DOCKERFILES} == set(OURS)
    for name in OURS:
        assert SERVICES[name]["build"]["dockerfile"] == f"compose/images/{name}.Dockerfile"


def test_all_images_share_one_pinned_base() -> None:
    bases = {
        rest.split()[0]
        for file in DOCKERFILES
        for name, rest in instructions(file)
        if name == "FROM"
    }
    (base,) = bases
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base)


@EACH
def test_build_tools_are_not_in_the_final_image(file: Path) -> None:
    steps = instructions(file)
    (_, last) = [place for place, (name, _) in enumerate(steps) if name == "FROM"]
    final = steps[last + 1 :]
    assert not any("pip" in rest or "install.sh" in rest for _, rest in final)
    assert [rest for name, rest in final if name == "COPY"] == [
        "--from=build /opt/byline /opt/byline"
    ]
    (user,) = [rest for name, rest in final if name == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert final[-1][0] == "ENTRYPOINT"
    assert final[-1][1].startswith("[")  # without a shell, so that signals reach the program
    assert '"sh"' not in final[-1][1] or " exec " in final[-1][1]
    assert not {"ADD", "MAINTAINER"} & {name for name, _ in steps}


@EACH
def test_copied_files_exist_and_pass_dockerignore(file: Path) -> None:
    let_through = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    for name, rest in instructions(file):
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(Path(source).is_relative_to(one) for one in let_through), source


@EACH
def test_a_role_lock_is_a_subset_of_the_run_lock(file: Path) -> None:
    run = (LOCKS / "run.lock").read_text().splitlines()
    own = (LOCKS / f"{file.stem}.lock").read_text().splitlines()
    assert set(own) < set(run)
    assert ("torch==2.13.0" in own) == (file.stem == "worker")


def test_packages_of_a_hugging_face_model_change_no_version_that_another_lock_pins() -> None:
    def pinned(name: str) -> dict[str, str]:
        lines = (LOCKS / f"{name}.lock").read_text().splitlines()
        return dict(line.split("==") for line in lines)

    own = pinned("huggingface")
    assert "torch" not in own
    for name in ("run", "dev", "worker", "transformer"):
        assert {p: v for p, v in pinned(name).items() if own.get(p, v) != v} == {}


#: A program that lists the model's versions, and prints the packages that it has imported. redis-py
#: imports OpenTelemetry where it is installed, so this program makes it look missing.
_LIST = """
import sys
sys.modules["opentelemetry"] = None
from importlib.metadata import packages_distributions
before = set(sys.modules)
from celery_app.models import main
status = main(["list"])
owners = packages_distributions()
print(*{owner for name in set(sys.modules) - before for owner in owners.get(name, ())})
sys.exit(status)
"""


def _copy_files(name: str, folder: Path) -> None:
    """Copies the files of the image of ``name`` into a folder."""
    for instruction, rest in instructions(FOLDER / "images" / f"{name}.Dockerfile"):
        if instruction == "COPY" and not rest.startswith(("--from", "compose/install", "req")):
            *sources, target = rest.split()
            for source in sources:
                into = folder / target / (Path(source).name if target.endswith("/") else "")
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, into)
                else:
                    into.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, into)


def test_a_file_job_starts_in_the_container_of_the_api(tmp_path: Path) -> None:
    """Runs with the image's files."""
    _copy_files("api", tmp_path)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "celery_app.file_job", "--data", "none.jsonl", "--out", "-"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "byline: none.jsonl: No such file or directory: check the name\n"
    assert done.returncode == 2


@pytest.mark.parametrize("name", ["api", "monitor"])
def test_model_versions_can_be_listed_in_a_container(name: str, tmp_path: Path) -> None:
    """Runs with the image's files and settings, and without a Redis."""
    _copy_files(name, tmp_path)
    (tmp_path / "password").write_text("secret")
    given = {
        **DEFAULTS,
        "BYLINE_REDIS_URL": "redis://127.0.0.1:1/0",
        "BYLINE_REDIS_PASSWORD_FILE": str(tmp_path / "password"),
    }
    done = subprocess.run(
        [sys.executable, "-B", "-c", _LIST],
        cwd=tmp_path,
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("byline: Redis can't be reached: Error 111 ")
    locked = (LOCKS / f"{name}.lock").read_text().splitlines()
    taken = set(done.stdout.lower().replace("_", "-").split())
    assert "redis" in taken
    assert taken <= {line.partition("==")[0] for line in locked}


def test_no_secret_gets_into_an_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert not any("secrets" in line for line in ignored if line.startswith("!"))
    assert (FOLDER / "secrets" / ".gitignore").read_text().splitlines()[1:] == ["*", "!.gitignore"]
