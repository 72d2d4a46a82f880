"""Finds the metrics pages of Byline's other processes, on this host or in other containers."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class MetricsEndpoint:
    """The address of the metrics of all processes of one kind: a host name and a port."""

    kind: str
    host: str
    port: int

    def urls(self) -> dict[str, str]:
        """Returns the URL of the metrics page at each address of the host.

        Each key is a text of the kind, the address and the port. The result is empty if the host
        name is unknown.
        """
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
