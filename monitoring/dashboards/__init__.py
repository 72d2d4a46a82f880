"""Grafana dashboards as code. The JSON files that Grafana loads are generated from this package."""
