"""Finds the metrics pages of Byline's other processes, on this host or in other containers."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class MetricsEndpoint:
    """The host name and the port at which processes of one kind serve their metrics."""

    kind: str
    host: str
    port: int

    def urls(self) -> dict[str, str]:
        """Returns the URLs of the metrics pages, one for each IP address of the host name.

        A URL's key names the page, such as ``api@10.0.0.2:9806``. If the host name is unknown, the
        mapping is empty.
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
