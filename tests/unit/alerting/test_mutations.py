"""No threshold, comparison or `for` can be changed without a test of promtool's that notices.

That every metric asked for exists, under this name, is checked in test_alerts.py.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.promql import metric_names, rules
from tests.promtool import needs_promtool, run
from tests.unit.alerting.rules import Rule, about, alerts, files_of_tests, names

_COMPARISON = re.compile(r"(?<=\s)(==|>=|<=|>|<)(?=\s)")
_OPPOSITE = {"==": "!=", ">=": "<", "<=": ">", ">": "<=", "<": ">="}
#: Of what is counted and not measured, half is no less than one: the next below is none.
_COUNTED = ("workers:least", "dead_letters:warning", "queue_messages:deaf", "level:warning")


class Mutant(NamedTuple):
    """Rules of which one is not as it was."""

    name: str
    alert: str
    rules: list[Rule]
    #: Of the alerts on objectives, the window of the rule that is changed: others need no tests.
    window: str = ""


def needed(alert: str) -> list[Rule]:
    """The rules of an alert, and all that they rest on, in the order in which they are written."""
    known = rules()
    kept = [rule for rule in known if rule.get("alert") == alert]
    asked = set().union(*(metric_names(rule["expr"]) for rule in kept))
    while True:
        more = [r for r in known if r.get("record") in asked and r not in kept]
        if not more:
            break
        kept += more
        asked = asked.union(*(metric_names(rule["expr"]) for rule in more))

    recorded = [rule for rule in known if "record" in rule and rule in kept]
    return [*recorded, *(rule for rule in kept if "alert" in rule)]


def changed(whole: list[Rule], rule: Rule, **entries: Any) -> list[Rule]:
    """The rules with some entries of one replaced; None takes an entry away."""
    other = {k: v for k, v in {**rule, **entries}.items() if v is not None}
    return [other if each is rule else each for each in whole]


def mutants() -> Iterator[Mutant]:
    """Everything that is changed, one at a time."""
    for alert in names():
        whole = needed(alert)
        for number, rule in enumerate(whole):
            name = f"{alert} {number} {rule.get('record', '')} {rule.get('labels', '')}"
            if rule.get("record", "").startswith("threshold:"):
                yield from _of_threshold(name, alert, whole, rule)
            if "alert" in rule:
                yield from _of_alert(name, alert, whole, rule)


def _of_threshold(name: str, alert: str, whole: list[Rule], rule: Rule) -> Iterator[Mutant]:
    value = float(rule["expr"])
    less = 0.0 if rule["record"].endswith(_COUNTED) else value / 2
    yield Mutant(f"{name}: doubled", alert, changed(whole, rule, expr=str(value * 2)))
    yield Mutant(f"{name}: less", alert, changed(whole, rule, expr=str(less)))
    yield Mutant(f"{name}: gone", alert, [each for each in whole if each is not rule])


def _of_alert(name: str, alert: str, whole: list[Rule], rule: Rule) -> Iterator[Mutant]:
    expr = rule["expr"]
    for found in _COMPARISON.finditer(expr):
        other = expr[: found.start()] + _OPPOSITE[found[0]] + expr[found.end() :]
        yield Mutant(
            f"{name}: {found[0]} at {found.start()}", alert, changed(whole, rule, expr=other)
        )
    if "for" in rule:
        yield Mutant(f"{name}: without for", alert, changed(whole, rule, **{"for": None}))


def noticed(folder: Path, tested: list[dict[str, Any]], mutant: Mutant) -> bool:
    """Whether a test of promtool's fails. JSON is YAML, too."""
    folder.mkdir()
    groups = [{"name": "all", "rules": mutant.rules}]
    (folder / "rules.yml").write_text(json.dumps({"groups": groups}))
    paths = []
    for number, content in enumerate(tested):
        paths.append(folder / f"{number}.yml")
        paths[-1].write_text(json.dumps(content))
    return run("promtool", "test", "rules", *paths)[0] != 0


def said_of(alert: str) -> list[dict[str, Any]]:
    """The tests that say something of an alert, and of it alone."""
    found = []
    for content in files_of_tests().values():
        kept = [one for test in content["tests"] if (one := about(test, alert))]
        if kept:
            one = copy.copy(content)
            one.pop("group_eval_order", None)
            found.append({**one, "rule_files": ["rules.yml"], "tests": kept})
    return found


def _all(folder: Path, work: list[Mutant], fate: Callable[[bool], bool]) -> list[str]:
    tested = {alert: said_of(alert) for alert in names()}
    with ThreadPoolExecutor(2) as pool:
        seen = pool.map(
            lambda each: noticed(folder / str(each[0]), tested[each[1].alert], each[1]),
            enumerate(work),
        )
        return [mutant.name for mutant, found in zip(work, seen, strict=True) if fate(found)]


@needs_promtool
def test_what_is_not_changed_passes(tmp_path: Path) -> None:
    assert _all(tmp_path, [Mutant(name, name, needed(name)) for name in names()], bool) == []


@needs_promtool
def test_what_is_changed_is_noticed(tmp_path: Path) -> None:
    work = list(mutants())
    assert len(work) > 3 * len(alerts())
    assert _all(tmp_path, work, lambda found: not found) == []
