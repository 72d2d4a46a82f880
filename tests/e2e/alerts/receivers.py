"""Receivers of alerts: Slack's webhook, mail over SMTP, and PagerDuty's Events v2."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from tests.parts import free_port

#: The secrets that Alertmanager must send.
PASSWORD, KEY, BEAT = "the password of the mail", "routing-key-of-the-test-0123456", "beat-key"
SEVERITIES = {"critical", "error", "warning", "info"}


@dataclass(frozen=True)
class Said:
    """A received message, and the alerts that have begun or ended according to the message."""

    at: float
    channel: str
    title: str
    text: str
    firing: frozenset[str]
    ended: frozenset[str]


class Receivers:
    """The receivers of all channels. Each receiver checks its messages strictly."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.beats = 0
        #: The mistakes in received messages. There must be none.
        self.refused: list[str] = []
        refused = self.refused
        paths = {"/slack": self._slack, "/v2/enqueue": self._pagerduty, "/beat": self._beat}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    status = paths[self.path](json.loads(body), self.headers)
                except (LookupError, TypeError, ValueError) as error:
                    refused.append(f"{self.path}: {error!r}")
                    status = 400
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok" if self.path == "/slack" else b"{}")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self._smtp = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            authenticator=self._authenticate,
            auth_required=True,
            auth_require_tls=False,
            # aiosmtpd asks for "User Name", and Alertmanager knows "Username:" only.
            auth_exclude_mechanism=["LOGIN"],
        )
        self._smtp.start()
        self.smtp = f"127.0.0.1:{self._smtp.port}"

    def close(self) -> None:
        self._smtp.stop()
        self._http.shutdown()
        self._http.server_close()

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        plain = mail.get_body(("plain",))
        html = mail.get_body(("html",))
        if plain is None or html is None or "<html>" not in html.get_content():
            self.refused.append("a mail without its two forms")
            return "550 two forms are needed"
        self._plain("mail", str(mail["Subject"]), plain.get_content())
        return "250 OK"

    def _slack(self, payload: dict[str, Any], headers: Any) -> int:
        [attachment] = payload["attachments"]
        text = attachment["text"]
        self._add(
            "slack",
            attachment["title"],
            text,
            re.findall(r"/runbooks/(\w+)\.md\|What to do>", text),
            re.findall(r":white_check_mark: (\w+) has ended", text),
        )
        return 200

    def _pagerduty(self, event: dict[str, Any], headers: Any) -> int:
        payload = event["payload"]
        self._must(event["routing_key"] == KEY, "the routing key")
        self._must(event["event_action"] in ("trigger", "acknowledge", "resolve"), "the action")
        self._must(bool(event["dedup_key"]) and len(event["dedup_key"]) <= 255, "the dedup key")
        self._must(0 < len(payload["summary"]) <= 1024, "the summary")
        self._must(payload["severity"] in SEVERITIES, "the severity")
        self._must(bool(payload["source"]), "the source")
        text = payload["custom_details"]["alerts"]
        self._must((event["event_action"] == "resolve") != bool(_named(text, True)), "what ends")
        self._plain("pagerduty", payload["summary"], text)
        return 202

    def _beat(self, payload: dict[str, Any], headers: Any) -> int:
        self._must(headers["Authorization"] == f"Bearer {BEAT}", "the heartbeat's key")
        [alert] = payload["alerts"]
        self._must(alert["labels"]["alertname"] == "Watchdog", "the heartbeat")
        self.beats += 1
        return 200

    def _authenticate(
        self, server: object, session: object, envelope: object, mechanism: str, given: Any
    ) -> AuthResult:
        right = isinstance(given, LoginPassword) and given.password == PASSWORD.encode()
        self._must(right, "the password")
        return AuthResult(success=right)

    def _plain(self, channel: str, title: str, text: str) -> None:
        self._add(channel, title, text, _named(text, True), _named(text, False))

    def _add(
        self, channel: str, title: str, text: str, firing: list[str], ended: list[str]
    ) -> None:
        self._must(bool(firing or ended), f"{channel} names an alert")
        fires = frozenset(firing)
        self.said.append(
            Said(time.monotonic(), channel, title, text, fires, frozenset(ended) - fires)
        )

    def _must(self, right: bool, what: str) -> None:
        if not right:
            self.refused.append(what)

    def find(
        self, channel: str, since: float, firing: str = "", ended: str = "", text: str = ""
    ) -> Said | None:
        """Returns the first message of a channel, since a time, about the given alert.

        The text of the message must match the pattern ``text``.
        """
        for said in list(self.said):
            says = firing in said.firing or ended in said.ended
            likewise = re.search(text, said.text, re.MULTILINE)
            if says and likewise and said.channel == channel and said.at >= since:
                return said
        return None


def _named(text: str, firing: bool) -> list[str]:
    return re.findall(
        rf"^{'(?:CRITICAL|WARNING)' if firing else 'RESOLVED'} (\w+)\s*$", text, re.MULTILINE
    )
