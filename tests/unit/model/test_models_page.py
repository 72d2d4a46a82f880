"""The examples of docs/models.md are models that the engine can serve."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from model.serving.engine import Engine
from model.serving.placement import Placement
from model.types import Model, SequenceModel

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


@pytest.mark.parametrize(
    ("name", "protocol"), [("VowelModel", Model), ("VowelSequences", SequenceModel)]
)
def test_example_model_is_served(name: str, protocol: Any) -> None:
    codes = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    [code] = [code for code in codes if f"class {name}:" in code]
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    model = names[name]()
    assert isinstance(model, protocol)
    engine = Engine(model, Placement("cpu"))
    engine.start()
    poet, unsure = engine.predict(["aeiou", "abcdef"])
    assert (poet.author, unsure.author) == ("poet", None)
