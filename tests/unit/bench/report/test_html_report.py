"""Tests of the HTML report: its content, and missing figures. The page must be self-contained."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from bench.load.scenario import Scenario
from bench.report import charts, html_report
from bench.report.results import Generator, Run
from tests.unit.bench.runs import bare_run, run, second, totals

TITLES = [kind.title for kind in charts.KINDS]


class Page(HTMLParser):
    """A parsed page: its text, ids and internal references, and the URLs that it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.ids: Counter[str] = Counter()
        self.anchors: set[str] = set()
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        self.tags.append((tag, fields))
        for name, value in fields.items():
            inner = re.findall(r"url\(['\"]?([^)'\"]*)", value or "")
            if name == "id":
                self.ids[value or ""] += 1
            if name in ("href", "xlink:href", "src", "srcset", "data"):
                inner.append(value or "")
            self.anchors |= {each[1:] for each in inner if each.startswith("#")}
            self.loads += [each for each in inner if not each.startswith("#")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(*runs: Run) -> Page:
    return Page(html_report.render(runs))


@pytest.mark.parametrize(
    "figure",
    [
        "490 msg/s 1,470 of 1,500 answered",
        "P50 12.5 ms half took less",
        "P95 31.5 ms 19 of 20 took less; limit 50 ms",
        "P99 47.5 ms 99 of 100 took less",
        "Failed 30 2.00 % of sent",
        "Memory 340 MB",
        "Accuracy 0.575 the card's is 0.580: they agree",
        "Failed: overloaded 27 (1.80 %)",
        "Latency, longest 1,234 ms",
        "Memory, worker 280 MB",
        "95 % interval 0.561 to 0.589",
        "Generator, lateness P99 0.40 ms",
        "open loop, 500 msg/s",
        "Test CPU, 2 cores",
        "Every limit was kept.",
        "How to read it",
    ],
)
def test_shows(figure: str) -> None:
    assert figure in page(run()).text


def test_headline_figures_come_before_plots_and_plots_before_settings() -> None:
    text = page(run()).text
    places = [text.index(words) for words in ("19 of 20", TITLES[0], TITLES[-1], "Load open loop")]
    assert places == sorted(places)


def test_every_plot_is_there_once_with_a_text_alternative() -> None:
    found = page(run())
    plots = [fields for tag, fields in found.tags if tag == "svg"]
    alternatives = [f"{kind.title}. {kind.says}" for kind in charts.KINDS]
    assert [fields["aria-label"] for fields in plots] == alternatives
    assert {fields["role"] for fields in plots} == {"img"}


def test_a_plot_s_text_stays_text() -> None:
    svg = {chart.title: chart.svg for chart in charts.of_run(run(), "run1")}
    for label in ("50 %", "90 %", "99 %", "latency, ms"):
        assert f">{label}</text>" in svg["Latency by percentile"]
    assert ">memory (PSS), MB</text>" in svg["Memory by part"]
    assert ">generator</text>" in svg["CPU by part"]
    assert ">P95's limit</text>" in svg["Latency over time"]


def test_a_part_s_name_is_never_read_as_a_formula() -> None:
    found = charts.of_run(run(timeline=[second(0.0, pss={"$x$": 1}, cpu={})]), "run1")
    (memory,) = [chart.svg for chart in found if chart.title == "Memory by part"]
    assert ">$x$</text>" in memory


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = html_report.render([run(), run(name="other")])
    found = Page(html)
    assert found.loads == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in found.tags}
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", html)


def test_ids_are_unique_and_references_lead_somewhere() -> None:
    found = page(run(), run(), run())
    assert [name for name, count in found.ids.items() if count > 1] == []
    assert found.anchors
    assert found.anchors <= set(found.ids)


def test_titles_are_escaped() -> None:
    title = "<b>&\"</b><script>alert('$x$')</script>"
    odd = run(
        name=title,
        system=title,
        scenario=Scenario(title=title, settings={title: title}),
        totals=totals(failed={title: 1}),
        timeline=[second(0.0, pss={title: 1}, cpu={title: 1.0})],
        broken_limits=[title],
    )
    found = page(odd, odd)
    assert not {"b", "script"} & {tag for tag, _ in found.tags}
    assert title in found.text


def test_one_run_after_the_other_gives_the_same_page() -> None:
    assert html_report.render([run()]) == html_report.render([run()])


def test_several_runs_are_shown_in_one_plot_and_one_table() -> None:
    other = run(name="burst", system="plain Celery")
    text = page(run(), other).text
    assert "Latency of all runs" in text
    assert text.count("1. steady, Byline") >= 3  # title, table, plot, heading
    assert text.count("2. burst, plain Celery") >= 3
    assert "Latency of all runs" not in page(run()).text


def test_the_plot_keeps_its_size_with_many_long_names(
    recwarn: pytest.WarningsRecorder,
) -> None:
    page(*(run(name=f"a-rather-long-name-of-a-scenario-{number}") for number in range(6)))
    assert [str(warning.message) for warning in recwarn] == []


def test_the_table_of_several_runs_says_which_broke_limits() -> None:
    unlimited = run(scenario=Scenario(title=""))
    html = html_report.render([run(), run(broken_limits=["a", "b"]), unlimited])
    cells = re.findall(r"<td[^>]*>(2 broken|kept|–)</td>", html)
    assert cells == ["kept", "2 broken", "–"]


def test_unknown_figures_are_left_out_and_not_shown_as_zero() -> None:
    found = page(bare_run())
    assert [title for title in TITLES if title in found.text] == ["Throughput over time"]
    assert "P50 – nothing was answered" in found.text
    assert found.text.count("– not measured") == 2
    assert "version unknown" in found.text
    assert "Latency, mean" not in found.text


def test_without_a_timeline_there_are_no_plots_over_time() -> None:
    titles = [chart.title for chart in charts.of_run(run(timeline=[]), "run1")]
    assert titles == ["Latency by percentile", "Batch sizes", "Accuracy against the card"]


@pytest.mark.parametrize("batches", [None, {}, {"1": 0}])
def test_without_batches_there_is_no_plot_of_them(batches: dict[str, int] | None) -> None:
    assert "Batch sizes" not in page(run(batches=batches)).text


def test_a_run_of_one_second_has_every_plot() -> None:
    found = charts.of_run(run(timeline=[second(0.0)]), "run1")
    assert [chart.title for chart in found] == TITLES


def test_seconds_without_an_answer_are_gaps() -> None:
    gap = second(1.0, answered=0, p50_ms=None, p95_ms=None, p99_ms=None, pss={}, cpu={})
    found = charts.of_run(run(timeline=[second(0.0), gap, second(2.0)]), "run1")
    assert [chart.title for chart in found] == TITLES
    assert all("nan" not in chart.svg for chart in found)


def test_several_runs_that_got_no_answer_have_no_plot_together() -> None:
    assert "Latency of all runs" not in page(bare_run(), bare_run()).text


def test_broken_limits_and_warnings_are_shown() -> None:
    bad = run(broken_limits=["p95_ms is 61"], generator=Generator(0.9, 0.0), interrupted=True)
    text = page(bad).text
    assert "Limit broken: p95_ms is 61" in text
    assert "used 0.90 cores" in text
    assert "was interrupted" in text
    assert "Every limit was kept" not in text


def test_writes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    html_report.write([run()], path)
    assert path.read_text(encoding="utf-8") == html_report.render([run()])


def test_a_report_without_a_run_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        html_report.render([])
