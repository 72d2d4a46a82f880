"""nginx with the containers' configuration, in front of a test's own servers."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.parts import ROOT

TEMPLATES = ROOT / "compose" / "nginx"
#: Skips a test without nginx. In continuous integration the test fails instead, so that a skipped
#: test does not look like a passed one.
needs_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None and os.environ.get("CI") != "true",
    reason="nginx is not installed",
)


def filled_in(template: str, values: dict[str, str]) -> str:
    """Returns a template with the known variables replaced, as the image's entry point does."""
    text = (TEMPLATES / template).read_text("utf-8")
    return re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], found[0]), text)


def configured(
    folder: Path, apis: Sequence[int], port: int, health_port: int, max_body_bytes: int
) -> Path:
    """Writes nginx's configuration into ``folder``, and returns the path of the file.

    ``apis`` are the ports of the api servers on the loopback address.
    """
    values = {
        "NGINX_FOLDER": str(folder),
        "NGINX_PORT": f"127.0.0.1:{port}",
        "NGINX_HEALTH_PORT": str(health_port),
        "NGINX_API": " ".join(
            f"server 127.0.0.1:{api} max_fails=3 fail_timeout=2s;" for api in apis
        ),
        "NGINX_LOCAL_RESOLVERS": "127.0.0.1",
        "BYLINE_MAX_BODY_BYTES": str(max_body_bytes),
    }
    file = folder / "nginx.conf"
    file.write_text(filled_in("nginx.conf.template", values))
    return file


def command(configuration: Path, *options: str) -> list[str]:
    """Returns the command line that runs nginx in the foreground.

    ``options`` are further options, such as ``-t``, with which nginx only checks its configuration.
    """
    program = shutil.which("nginx")
    assert program is not None, "nginx is not installed"
    # Started by root, nginx would otherwise change to a user who may not write into the test's
    # folder.
    globally = "daemon off;" + (" user root;" if os.getuid() == 0 else "")
    return [program, "-c", str(configuration), "-g", globally, *options]
