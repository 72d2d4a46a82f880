"""Machines of a network, each a network namespace of this one, behind a bridge. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType

#: Addresses of the network; those of hosts follow that of the bridge. Of this process: what another
#: that was killed has left is in nobody's way.
NETWORK = f"10.213.{os.getpid() % 256}"
BRIDGE = f"{NETWORK}.1"


def impossible() -> str:
    """Return why there can be none here; empty: there can."""
    if shutil.which("ip") is None:
        return "ip is not installed"
    name = f"byline-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False, text=True)
    if made.returncode != 0:
        return f"no network namespace can be made: {made.stderr.strip()}"
    _ip("netns", "delete", name)
    return ""


class Network:
    """A bridge in this namespace, and hosts in theirs. They see the bridge, not its loopback."""

    def __init__(self, *hosts: str) -> None:
        self._bridge = f"bl{os.getpid()}"
        self._hosts = hosts

    def __enter__(self) -> Network:
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("address", "add", f"{BRIDGE}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            for number, host in enumerate(self._hosts):
                self._add(host, number)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self._hosts:
            _try("netns", "delete", self._namespace(host))
        _try("link", "delete", self._bridge)

    def on(self, host: str) -> list[str]:
        """Return what a command line begins with that is to run on a host."""
        return ["ip", "netns", "exec", self._namespace(host)]

    def cut(self, host: str) -> None:
        """Have nothing get to a host, or away from it: no packet says so."""
        _ip("link", "set", self._cable(host), "down")

    def heal(self, host: str) -> None:
        """Have it all pass again."""
        _ip("link", "set", self._cable(host), "up")

    def _add(self, host: str, number: int) -> None:
        space, cable = self._namespace(host), self._cable(host)
        _ip("netns", "add", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self._bridge, "up")
        inside = ("-n", space)
        _ip(*inside, "address", "add", f"{NETWORK}.{number + 2}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip(*inside, "link", "set", device, "up")

    def _namespace(self, host: str) -> str:
        return f"{self._bridge}-{host}"

    def _cable(self, host: str) -> str:
        return f"{self._bridge}{self._hosts.index(host)}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _try(*arguments: str) -> None:
    """The same, where there may be nothing to do it to."""
    subprocess.run(["ip", *arguments], check=False, capture_output=True)
