"""The checks refuse requests that a page of another site may have sent, and no others."""

from __future__ import annotations

import pytest

from monitoring.instruments.origins import check_for

OURS = "127.0.0.1:8000"
HERE = check_for("127.0.0.1")
NAMED = check_for("0.0.0.0", {"Byline.example", "other.example"})


@pytest.mark.parametrize(
    "host",
    [
        *(OURS, "127.0.0.1", "127.8.9.10:80", "[::1]:8000", "10.0.0.7:8000", "[fe80::1]"),
        *("localhost", "LOCALHOST:8000", "localhost.:8000", "byline.localhost:8000", None),
        "host.docker.internal:9809",
    ],
)
def test_host_that_no_other_site_can_have_is_accepted(host: str | None) -> None:
    assert HERE(host, None) == ""


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("evillocalhost", "1.evil.example", "x@localhost", "localhost@evil.example", "a b", ""),
        *(
            "localhost/evil.example",
            "evil.example#localhost",
            "[::1",
            "evil.docker.internal",
            "[::1].evil.example",
            "\xff",
        ),
        *("::1", "localhost:8000:9", "localhost:evil.example", "byline.example"),
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    assert HERE(host, None) == "wrong_host"
    assert HERE(host, f"http://{host}") == "wrong_host"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (OURS, f"http://{OURS}"),
        ("localhost:1", "http://LOCALHOST:1"),
        ("[::1]:8", "https://[::1]:8"),
    ],
)
def test_origin_of_the_servers_own_page_is_accepted(host: str, origin: str) -> None:
    assert HERE(host, origin) == ""


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "null", "", "http://", OURS, "http://127.0.0.1", "file://"),
        # Another program's page on this machine.
        *("http://127.0.0.1:3000", "http://localhost:8000", f"http://{OURS}.evil.example"),
    ],
)
def test_origin_of_another_site_is_refused(origin: str) -> None:
    assert HERE(OURS, origin) == "foreign_origin"
    assert HERE(None, origin) == "foreign_origin"


def test_configured_name_is_accepted_with_any_port_and_scheme() -> None:
    assert NAMED("byline.example", "https://byline.example") == ""
    assert NAMED("OTHER.example:8443", None) == ""
    # A load balancer sends an address as `Host`. The page's site has the configured name.
    assert NAMED("10.0.0.7:8000", "https://byline.example") == ""
    assert NAMED("evil.example", None) == "wrong_host"
    assert NAMED("byline.example", "https://evil.example") == "foreign_origin"


@pytest.mark.parametrize(
    ("address", "open_to_all"),
    [("0.0.0.0", True), ("::", True), ("10.0.0.7", True), ("127.0.0.1", False), ("::1", False)],
)
def test_server_with_keys_or_on_the_network_checks_only_configured_names(
    address: str, open_to_all: bool
) -> None:
    assert check_for(address, None, open_to_all)("evil.example", "http://evil.example") == ""
    told = check_for(address, ["byline.example"], open_to_all)
    assert told("evil.example", None) == "wrong_host"


def test_page_on_another_local_port_is_refused_also_where_localhost_is_configured() -> None:
    told = check_for("127.0.0.1", ["localhost"])
    assert told("localhost:8000", "http://localhost:8000") == ""
    for host in ("localhost:8000", "127.0.0.1:8000"):
        assert told(host, "http://localhost:3000") == "foreign_origin"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_server_on_any_loopback_address_refuses_foreign_hosts(address: str) -> None:
    assert check_for(address)("evil.example", None) == "wrong_host"
