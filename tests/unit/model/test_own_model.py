"""The example in docs/models.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from model.engine import Engine
from model.types import Model

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


def test_the_model_on_the_page_can_be_served() -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    model = names["VowelModel"]()
    assert isinstance(model, Model)
    engine = Engine(model, "cpu", 1)
    engine.start()
    poet, unsure = engine.predict(["aeiou", "abcdef"])
    assert (poet.author, unsure.author) == ("poet", None)
