"""Links to runbooks lead to a page: in the console, and in the messages of Alertmanager."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from celery_app.settings import Settings
from compose.parts import alertmanager
from compose.parts.logins import monitoring_login
from tests.promtool import content, needs_amtool
from tests.unit.alerting.rules import alerts
from tests.unit.alerting.test_alertmanager import FOLDER, alert, rendered
from tests.unit.api.fake_runtime import fake_app

PATHS = sorted({rule["annotations"]["runbook_url"] for rule in alerts()})


@pytest.mark.parametrize("path", PATHS)
def test_api_serves_the_runbook_of_each_alert_without_a_key(tmp_path: Path, path: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"one sha256:{'0' * 64}\n")
    page = fake_app(BYLINE_KEYS_FILE=str(keys)).test_client().get(path)
    assert (page.status_code, page.mimetype) == (200, "text/plain")
    assert page.text.startswith(f"# {Path(path).stem}")


@pytest.mark.parametrize("path", ["README.md", "..%2fservice.yml", "NoWorker", "%2e%2e/memory.yml"])
def test_no_other_file_is_served(path: str) -> None:
    assert fake_app().test_client().get(f"/alerting/runbooks/{path}").status_code == 404


@needs_amtool
@pytest.mark.parametrize("template", ["byline.slack.text", "byline.email.html", "byline.text"])
def test_links_in_messages_lead_to_the_api(tmp_path: Path, template: str) -> None:
    shown = rendered(tmp_path, template, alert("NoWorker", "firing"))
    [link] = re.findall(r"http://localhost:8000(/[\w/.]+)", shown)
    assert fake_app().test_client().get(link).status_code == 200


@needs_amtool
@pytest.mark.parametrize(
    ("settings", "link"),
    [
        ({"BYLINE_API_PORT": "8123"}, "http://127.0.0.1:8123/alerting/runbooks/NoWorker.md"),
        (
            {"BYLINE_DOCS_URL": "https://example.org/a/blob/main/"},
            "https://example.org/a/blob/main/alerting/runbooks/NoWorker.md",
        ),
    ],
)
@pytest.mark.parametrize("template", ["byline.slack.text", "byline.email.html", "byline.text"])
def test_run_on_this_machine_has_links_to_its_api_or_to_the_docs(
    tmp_path: Path, settings: dict[str, str], link: str, template: str
) -> None:
    given = Settings.from_environ(settings)
    folder = tmp_path / "alertmanager"
    alertmanager.part(given, folder, "alertmanager", monitoring_login(tmp_path))
    written = yaml.safe_load((folder / "alertmanager.yml").read_text())
    *_, last = written["templates"]
    assert last == str(folder / "links.tmpl")
    assert "SUCCESS" in content("amtool", "check-config", folder / "alertmanager.yml")
    templates = tmp_path / "templates"
    templates.mkdir()
    # amtool takes one pattern, and reads the files in the order of their names.
    for number, path in enumerate([*sorted((FOLDER / "templates").glob("*.tmpl")), Path(last)]):
        (templates / f"{number}.tmpl").write_text(path.read_text())
    assert link in rendered(tmp_path, template, alert("NoWorker", "firing"), templates=templates)


def test_address_that_a_user_put_into_the_template_stays() -> None:
    links = alertmanager.LINKS.read_text()
    assert alertmanager.DEFAULT_DOCS in links
    own = links.replace("http://localhost:8000", "https://example.org")
    assert alertmanager.docs_url(Settings(), own) is None
    assert alertmanager.docs_url(Settings(docs_url="https://a"), own) == "https://a"
