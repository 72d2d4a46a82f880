"""The names of metrics in a PromQL expression are found."""

from __future__ import annotations

import pytest

from tests.promql import metric_names, substituted


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ("up", {"up"}),
        ("sum(up == bool 0)", {"up"}),
        ("sum by (route, le) (rate(a_bucket{le=\"x_total\", b!~'c'}[5m]))", {"a_bucket"}),
        ("a:b:rate1m / on () group_left (c) (d:e > 0)", {"a:b:rate1m", "d:e"}),
        ('a or on () label_replace(vector(0), "kind", "b", "", "")', {"a"}),
        ("topk(10, a) unless b offset 5m", {"a", "b", "m"} - {"m"}),
        ("histogram_quantile(0.95, a) >= 1e3", {"a"}),
    ],
)
def test_metric_names_of_an_expression_are_found(expr: str, names: set[str]) -> None:
    assert metric_names(expr) == names


def test_unknown_variable_is_an_error() -> None:
    assert substituted('a{b=~"$monitor"}[$__rate_interval]') == 'a{b=~".+"}[1m]'
    with pytest.raises(AssertionError, match="what is the variable"):
        substituted("a[$__range]")
