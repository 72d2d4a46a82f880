"""Simulates a network of machines: each is a network namespace behind a bridge. Needs root."""

from __future__ import annotations

import os
import subprocess
from types import TracebackType

#: First three bytes of all addresses. They depend on the process id, since a killed process leaves
#: its network behind.
NETWORK = f"10.213.{os.getpid() % 256}"
#: Address of the bridge. The hosts have the next addresses.
BRIDGE = f"{NETWORK}.1"


class Impossible(Exception):
    """This machine can't make hosts. A container may lack the privileges, even for root."""


class Network:
    """A bridge in this namespace, and hosts in their own namespaces.

    A host reaches the bridge's address, but not this machine's loopback. ``__enter__`` raises
    :class:`Impossible`.
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
        """Returns the beginning of a command line that runs a program on a host."""
        return ["ip", "netns", "exec", self._namespace(host)]

    def cut(self, host: str) -> None:
        """Cuts off a host: packets to and from the host are lost without an error."""
        _ip("link", "set", self._cable(host), "down")

    def heal(self, host: str) -> None:
        """Connects a host again."""
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
    """Runs ``ip``, and ignores a failure: the device or namespace may not exist."""
    subprocess.run(["ip", *arguments], check=False, capture_output=True)
