"""Grafana is provisioned with data sources and dashboards."""

from __future__ import annotations

from typing import Any

import yaml

from compose.parts.logins import USER
from monitoring.dashboards.page import DATA_SOURCE
from tests.promql import ROOT, dashboards
from tests.unit.compose.files import SERVICES

PROVISIONING = ROOT / "compose" / "grafana" / "provisioning"


def provisioned(kind: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(
        (PROVISIONING / kind / "byline.yml").read_text("utf-8")
    )
    return content


def test_data_source_urls_come_from_the_environment() -> None:
    sources = {source["uid"]: source for source in provisioned("datasources")["datasources"]}
    assert sources[DATA_SOURCE]["type"] == "prometheus"
    assert sources[DATA_SOURCE]["url"] == "${BYLINE_PROMETHEUS_URL}"
    assert sources["byline-alertmanager"]["url"] == "${BYLINE_ALERTMANAGER_URL}"


def test_data_sources_use_the_monitoring_login() -> None:
    for source in provisioned("datasources")["datasources"]:
        assert (source["basicAuth"], source["basicAuthUser"]) == (True, USER)
        password = source["secureJsonData"]["basicAuthPassword"]
        assert password == "$__file{/run/secrets/monitoring-password}"
    assert "monitoring-password" in SERVICES["grafana"]["secrets"]


def test_data_source_knows_the_scrape_interval() -> None:
    prometheus = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text("utf-8"))
    (source, _) = provisioned("datasources")["datasources"]
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_dashboards_use_the_provisioned_data_source() -> None:
    for dashboard in dashboards().values():
        (variable,) = (v for v in dashboard["templating"]["list"] if v["type"] == "datasource")
        assert variable["current"]["value"] == DATA_SOURCE


def test_dashboards_folder_comes_from_the_environment() -> None:
    (provider,) = provisioned("dashboards")["providers"]
    assert provider["options"]["path"] == "${BYLINE_DASHBOARDS}"
