"""A test notices every change of a threshold, a comparison, a `for` or a metric's name.

promtool's tests notice all changes except changed names, because these tests define series under
the rules' own names. test_alerts.py compares the metrics that rules query with the metrics that
exist. A test in this file renames each metric, and that comparison must notice the change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import pytest

from tests.promql import rules
from tests.promtool import needs_promtool, run
from tests.unit.alerting.rules import (
    Rule,
    about,
    alerts,
    existing_metrics,
    files_of_tests,
    missing_metrics,
    with_dependencies,
)

_COMPARISON = re.compile(r"(?<=\s)(==|>=|<=|>|<)(?=\s)")
_OPPOSITE = {"==": "!=", ">=": "<", "<=": ">", ">": "<=", "<": ">="}
#: Thresholds that are whole numbers: the next smaller threshold than 1 is 0, not 0.5.
_COUNTED = ("workers:least", "dead_letters:warning", "queue_messages:deaf", "level:warning")


class Unit(NamedTuple):
    """An alert, or one of its windows if it has several. The rules of a unit are tested alone."""

    alert: str
    window: str


class Mutant(NamedTuple):
    """A set of rules in which one rule has been changed."""

    #: Units that share a rule have mutants of the same name. A test of one of these units must
    #: notice the change.
    name: str
    unit: Unit
    rules: list[Rule]


def units() -> list[Unit]:
    """Returns the units of all alerts."""
    found = (Unit(rule["alert"], rule["labels"].get("window", "")) for rule in alerts())
    return list(dict.fromkeys(found))


def of_unit(unit: Unit) -> list[Rule]:
    """Returns the rules of a unit, preceded by the recording rules that they need."""
    own = [rule for rule in alerts() if rule["alert"] == unit.alert]
    return with_dependencies(
        [rule for rule in own if rule["labels"].get("window", "") == unit.window]
    )


def changed(whole: list[Rule], rule: Rule, **entries: Any) -> list[Rule]:
    """Returns the rules with some entries of one rule replaced; None removes an entry."""
    other = {key: value for key, value in {**rule, **entries}.items() if value is not None}
    return [other if each is rule else each for each in whole]


def mutants() -> Iterator[Mutant]:
    """Yields every mutant."""
    for unit in units():
        whole = of_unit(unit)
        for rule in whole:
            if rule.get("record", "").startswith("threshold:"):
                yield from _of_threshold(unit, whole, rule)
            if "alert" in rule:
                yield from _of_alert(unit, whole, rule)


def _of_threshold(unit: Unit, whole: list[Rule], rule: Rule) -> Iterator[Mutant]:
    labels = rule.get("labels", {})
    if labels.get("window", unit.window) != unit.window:
        return
    name, value = f"{rule['record']} {labels}", float(rule["expr"])
    less = 0.0 if rule["record"].endswith(_COUNTED) else value / 2
    yield Mutant(f"{name}: doubled", unit, changed(whole, rule, expr=str(value * 2)))
    yield Mutant(f"{name}: less", unit, changed(whole, rule, expr=str(less)))
    yield Mutant(f"{name}: gone", unit, [each for each in whole if each is not rule])


def _of_alert(unit: Unit, whole: list[Rule], rule: Rule) -> Iterator[Mutant]:
    expr, name = rule["expr"], f"{rule['alert']} {rule['labels']}"
    for found in _COMPARISON.finditer(expr):
        other = expr[: found.start()] + _OPPOSITE[found[0]] + expr[found.end() :]
        where = f"{name}: {found[0]} at {found.start()}"
        yield Mutant(where, unit, changed(whole, rule, expr=other))
    if "for" in rule:
        yield Mutant(f"{name}: without for", unit, changed(whole, rule, **{"for": None}))


def said_of(unit: Unit) -> list[dict[str, Any]]:
    """Returns the parts of promtool's tests that are about a unit, the shortest first."""
    found = []
    for content in files_of_tests().values():
        kept = [one for test in content["tests"] if (one := about(test, unit.alert, unit.window))]
        if kept:
            only = {"rule_files": ["rules.yml"], "tests": kept, "group_eval_order": ["all"]}
            found.append(content | only)
    return sorted(found, key=lambda one: len(json.dumps(one)))


def passes(folder: Path, tested: list[dict[str, Any]], changed: list[Rule]) -> bool:
    """Returns whether the rules pass the tests. The files are JSON, which promtool can read.

    The tests after the first failure are not run.
    """
    folder.mkdir()
    groups = [{"name": "all", "rules": changed}]
    (folder / "rules.yml").write_text(json.dumps({"groups": groups}))
    for number, content in enumerate(tested):
        path = folder / f"{number}.yml"
        path.write_text(json.dumps(content))
        if run("promtool", "test", "rules", path)[0] != 0:
            return False
    return True


def run_all(folder: Path, work: list[Mutant]) -> set[str]:
    """Returns the names of the mutants that pass their tests; runs two at a time.

    Of mutants of one name, those after the first that fails are not run.
    """
    tested = {unit: said_of(unit) for unit in units()}
    named: dict[str, list[Mutant]] = {}
    for one in work:
        named.setdefault(one.name, []).append(one)

    def all_pass(same: list[Mutant]) -> bool:
        return all(passes(Path(mkdtemp(dir=folder)) / "one", tested[m.unit], m.rules) for m in same)

    with ThreadPoolExecutor(2) as pool:
        return {
            name
            for name, passed in zip(named, pool.map(all_pass, named.values()), strict=True)
            if passed
        }


def asked_for() -> list[str]:
    """Returns every metric whose name is in a rule, without the code that test_alerts.py uses."""
    # A name in quotes, as in MetricMissing, does not count, nor does a part of a longer name.
    texts = " ".join(rule["expr"] for rule in rules())
    return sorted(
        name for name in existing_metrics() if re.search(rf'(?<![\w:"]){name}(?![\w:"])', texts)
    )


@pytest.mark.parametrize("name", asked_for())
def test_renamed_metric_is_noticed(name: str) -> None:
    assert missing_metrics(existing_metrics() - {name} | {f"{name}_renamed"}) == {name}


@needs_promtool
def test_unchanged_rules_pass(tmp_path: Path) -> None:
    work = [Mutant(str(unit), unit, of_unit(unit)) for unit in units()]
    assert {one.name for one in work} - run_all(tmp_path, work) == set()


@needs_promtool
def test_every_mutation_is_noticed(tmp_path: Path) -> None:
    work = list(mutants())
    assert len(work) > 4 * len(alerts())
    assert run_all(tmp_path, work) == set()
