"""Starts Debian's Redis with TLS, passwords, and a certificate that is made for the test."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from redis import Redis

from tests.parts import ROOT, Stack, answers, free_port, wait_for

PASSWORD = "password"


def documented_user() -> str:
    """Returns the ACL rule for Byline's Redis user in docs/security.md, with PASSWORD."""
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    [rule] = re.findall(r"^user byline (.+)$", text, re.MULTILINE)
    assert f">{PASSWORD}" in rule
    return str(rule)


def certified(folder: Path, *names: str) -> Path:
    """Makes a key, and a certificate for ``names``. Returns the path of the certificate.

    A name begins with ``IP:`` or ``DNS:``.
    """
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-addext", f"subjectAltName={','.join(names)}"),
            *("-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem"


def guarded(stack: Stack, address: str, *users: str) -> None:
    """Starts a Redis with TLS on ``address``, which ``stack`` uses as the user ``byline``.

    ``users`` are the lines of the server's ACL file, one for each user.
    """
    folder, port = stack.folder, free_port()
    cert = certified(folder, f"IP:{address}", "DNS:localhost", "IP:127.0.0.1")
    (folder / "users.acl").write_text("\n".join(users) + "\n")
    login = {"username": "byline", "password": PASSWORD}
    stack.redis = Redis(host=address, port=port, ssl=True, ssl_ca_certs=str(cert), **login)
    stack.env["BYLINE_REDIS_URL"] = (
        f"rediss://byline:{PASSWORD}@{address}:{port}/0?ssl_ca_certs={cert}"
    )
    stack.start(
        [
            *("redis-server", "--port", "0", "--tls-port", str(port), "--bind", address),
            *("--tls-cert-file", str(cert), "--tls-key-file", str(folder / "key.pem")),
            *("--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no"),
            *("--aclfile", str(folder / "users.acl"), "--dir", str(folder), "--save", ""),
        ],
        "redis",
    )
    wait_for(lambda: answers(stack.redis), what="Redis")
