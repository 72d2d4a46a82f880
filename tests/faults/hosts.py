"""Machines of a network, each a network namespace of this one, behind a bridge. Needs root."""

from __future__ import annotations

import os
import subprocess
from types import TracebackType

#: Addresses of the network; those of hosts follow that of the bridge. They are of this process, so
#: that what another left that was killed is hardly ever in the way.
NETWORK = f"10.213.{os.getpid() % 256}"
BRIDGE = f"{NETWORK}.1"


class Impossible(Exception):
    """There can be no hosts here: a container may lack the privileges, root or not."""


class Network:
    """A bridge in this namespace, and hosts in theirs. They see the bridge, not its loopback.

    Entering it raises Impossible.
    """

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
                subprocess.run([*self.on(host), "true"], check=True, capture_output=True)
        except BaseException as error:
            self.__exit__(None, None, None)
            if isinstance(error, subprocess.CalledProcessError):
                raise Impossible(f"{error.cmd}: {error.stderr!r}") from None
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
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _try(*arguments: str) -> None:
    """Do the same, where there may be nothing to do it to."""
    subprocess.run(["ip", *arguments], check=False, capture_output=True)
