"""Grafana dashboards as code: each module builds one, the JSON files are what comes of it."""
