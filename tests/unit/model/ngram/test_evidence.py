"""The evidence of the n-gram model: its sums, its parts, and odd texts."""

from __future__ import annotations

import pytest
import torch

from model.ngram.classifier import NgramModel
from model.ngram.evidence import MAX_PARTS, PART_CHARACTERS

TEXTS = [
    "We gathered at the river, and nobody spoke of the harvest; the harvest had failed us twice.",
    "  led by spaces,\n\nand parted  by more ",
    "x",
    " ",
    "🎉 Ναι — 是的。 Да! a\0b",
    "The rain fell on the roof all night. " * 40,
]


@pytest.fixture(scope="module")
def model() -> NgramModel:
    model = NgramModel()
    model.load(torch.device("cpu"))
    return model


def centred(model: NgramModel, text: str) -> torch.Tensor:
    logits = model.logits(model.prepare([text]))[0].double() * model._factor
    return logits - logits.mean()


@pytest.mark.parametrize("text", TEXTS)
def test_weights_add_up_to_the_score_of_forward(model: NgramModel, text: str) -> None:
    for index in (0, 7, len(model.card.authors) - 1):
        evidence = model.explain(text, model.card.authors[index])
        total = evidence.bias + sum(part.weight for part in evidence.parts) + evidence.rest
        assert total == pytest.approx(evidence.score, abs=1e-9)
        assert evidence.score == pytest.approx(centred(model, text)[index].item(), abs=1e-4)


def test_authors_with_higher_scores_have_higher_probabilities(model: NgramModel) -> None:
    text = TEXTS[0]
    probabilities = model.forward(model.prepare([text]))[0].tolist()
    by_score = sorted(
        range(len(model.card.authors)),
        key=lambda index: model.explain(text, model.card.authors[index]).score,
    )
    assert by_score == sorted(by_score, key=lambda index: probabilities[index])


def test_parts_are_words_of_the_text_sorted_by_strength(model: NgramModel) -> None:
    for text in TEXTS:
        parts = model.explain(text, model.card.authors[3]).parts
        assert len(parts) <= MAX_PARTS
        assert [text[p.start : p.start + len(p.text)] for p in parts] == [p.text for p in parts]
        sizes = [abs(part.weight) for part in parts]
        assert sizes == sorted(sizes, reverse=True)


def test_parts_of_a_short_text_are_all_its_words(model: NgramModel) -> None:
    text = "Few words,  with spaces. "
    evidence = model.explain(text, model.card.authors[0])
    in_order = sorted(evidence.parts, key=lambda part: part.start)
    assert [part.text for part in in_order] == text.split()
    assert evidence.rest == 0


def test_text_without_spaces_is_one_shortened_part(model: NgramModel) -> None:
    text = "東京" * 4000
    [part] = model.explain(text, model.card.authors[0]).parts
    assert (part.text, part.start) == (text[:PART_CHARACTERS], 0)


def test_evidence_of_the_empty_text_is_the_bias(model: NgramModel) -> None:
    evidence = model.explain("", model.card.authors[0])
    assert (evidence.parts, evidence.rest, evidence.score) == ((), 0, evidence.bias)


def test_unknown_author_is_refused(model: NgramModel) -> None:
    with pytest.raises(ValueError, match="does not know"):
        model.explain("text", "Nobody")
