"""Where the processes next door tell of themselves: on this host, or in containers beside us."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """Processes of one kind: all addresses that a host's name has, on one port."""

    kind: str
    host: str
    port: int

    def urls(self) -> dict[str, str]:
        """Return where the metrics of each are now. A name that nobody has: nowhere."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror:
            return {}
        addresses = sorted({str(address[0]) for *_, address in found})
        return {
            f"{self.kind}@{address}:{self.port}": f"http://{_in_url(address)}:{self.port}/metrics"
            for address in addresses
        }


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address
