"""What Grafana is given when it starts."""

from __future__ import annotations

from typing import Any

import yaml

from compose.parts.password import USER
from monitoring.dashboards.page import DATA_SOURCE
from tests.promql import ROOT, dashboards
from tests.unit.compose.files import SERVICES

PROVISIONING = ROOT / "compose" / "grafana" / "provisioning"


def provisioned(kind: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(
        (PROVISIONING / kind / "byline.yml").read_text("utf-8")
    )
    return content


def test_the_data_sources_are_where_the_environment_says() -> None:
    sources = {source["uid"]: source for source in provisioned("datasources")["datasources"]}
    assert sources[DATA_SOURCE]["type"] == "prometheus"
    assert sources[DATA_SOURCE]["url"] == "${BYLINE_PROMETHEUS_URL}"
    assert sources["byline-alertmanager"]["url"] == "${BYLINE_ALERTMANAGER_URL}"


def test_they_are_asked_with_the_login_of_both() -> None:
    for source in provisioned("datasources")["datasources"]:
        assert (source["basicAuth"], source["basicAuthUser"]) == (True, USER)
        password = source["secureJsonData"]["basicAuthPassword"]
        assert password == "$__file{/run/secrets/monitoring-password}"
    assert "monitoring-password" in SERVICES["grafana"]["secrets"]


def test_a_rate_is_taken_over_no_less_than_four_scrapes() -> None:
    prometheus = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text("utf-8"))
    (source, _) = provisioned("datasources")["datasources"]
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_the_dashboards_ask_that_data_source_by_default() -> None:
    for dashboard in dashboards().values():
        (variable,) = (v for v in dashboard["templating"]["list"] if v["type"] == "datasource")
        assert variable["current"]["value"] == DATA_SOURCE


def test_the_dashboards_are_where_the_environment_says() -> None:
    (provider,) = provisioned("dashboards")["providers"]
    assert provider["options"]["path"] == "${BYLINE_DASHBOARDS}"
