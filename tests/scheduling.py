"""The order in which pytest-xdist runs slow tests, and which slow tests run in one process.

pytest-xdist's own ``--dist loadfile`` runs the files with the most tests first. The slowest files
have few tests, so they would run last, and most processes would have nothing to do at the end.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Files whose tests share one run of Byline: the fixture ``running``.
RUNNING = (
    "tests/e2e/start/test_make_run.py",
    "tests/e2e/console/test_console.py",
    "tests/e2e/console/test_console_errors.py",
    "tests/e2e/console/test_other_sites.py",
    "tests/e2e/console/test_swagger_page.py",
)
#: Files that take longest, the longest first.
SLOW = (
    *RUNNING,
    "tests/e2e/docs/test_docs.py",
    "tests/e2e/docs/test_support_mail.py",
    "tests/e2e/docs/test_huggingface_page.py",
    "tests/faults/test_chaos.py",
    "tests/e2e/monitoring/test_quality.py",
    "tests/faults/test_under_load.py",
    "tests/e2e/monitoring/test_dashboards.py",
    "tests/e2e/test_without_accelerator.py",
    "tests/e2e/monitoring/test_memory.py",
    "tests/e2e/start/test_odd_starts.py",
    "tests/e2e/test_bench.py",
    "tests/e2e/start/test_start.py",
    "tests/faults/test_two_hosts.py",
    "tests/faults/test_two_servers.py",
    "tests/e2e/alerts/test_alerts.py",
    "tests/e2e/docs/test_runbooks.py",
    "tests/integration/file_job/test_interruptions.py",
    "tests/e2e/docs/test_retrain_page.py",
    "tests/e2e/start/test_refused_model.py",
    "tests/faults/test_rollout.py",
    "tests/faults/test_overload.py",
    "tests/e2e/console/test_flower.py",
    "tests/fuzz/test_openapi.py",
    "tests/fuzz/test_bodies.py",
    "tests/integration/loop/test_loop.py",
    "tests/integration/loop/test_kept_texts.py",
    "tests/integration/worker/test_commands.py",
    "tests/integration/client/test_client_wheel.py",
    "tests/integration/compose/test_secrets.py",
    "tests/integration/monitoring/test_traces.py",
    "tests/integration/storage/test_unreadable_values.py",
    "tests/integration/worker/test_faults.py",
    "tests/integration/worker/test_rollout.py",
    "tests/integration/worker/test_malformed_tasks.py",
)
#: Slow files whose tests share nothing of their module, so that each test can run in any process.
SPREAD = {
    "tests/faults/test_under_load.py",
    "tests/e2e/start/test_odd_starts.py",
    "tests/e2e/test_bench.py",
    "tests/integration/file_job/test_interruptions.py",
    "tests/integration/loop/test_loop.py",
    "tests/integration/storage/test_unreadable_values.py",
    "tests/integration/worker/test_faults.py",
    "tests/integration/worker/test_rollout.py",
    "tests/integration/worker/test_malformed_tasks.py",
}
_RANKS = {file: rank for rank, file in enumerate(SLOW)}


class SlowFirst(LoadScopeScheduling):
    """Gives tests to the processes in the order of collection: mostly whole files."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def unit(nodeid: str) -> str:
    """Returns the name of what a test belongs to, which one process runs: mostly the file."""
    file = file_of(nodeid)
    if file in SPREAD:
        return nodeid
    return "running" if file in RUNNING else file


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def sort(items: list[pytest.Item]) -> None:
    """Puts the tests of slow files in front, and keeps the order of all others.

    Raises:
        pytest.UsageError: tests of a file in ``SPREAD`` share a fixture of their module.
    """
    for item in items:
        if file_of(item.nodeid) in SPREAD and (shared := _module_fixtures(item)):
            raise pytest.UsageError(f"{item.nodeid} is in SPREAD, but shares {shared}")
    items.sort(key=lambda item: _RANKS.get(file_of(item.nodeid), len(_RANKS)))


def _module_fixtures(item: pytest.Item) -> list[str]:
    found = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return [name for name, defs in found.items() if defs[-1].scope in ("module", "class")]
