"""Chooses penalties, mixture, calibration and threshold.

Each choice rests on the scores of messages. The scores of a message are from classifiers that were
fitted without this message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.linear.machine import Machine
from model.ngram import mixture
from model.ngram.fitting import ALL, BAYES, TOKENS, Fitter, Texts
from model.ngram.mixture import Mixture
from model.training import platt
from model.training.corpus import TRAINING_FOLDS, TUNING_FOLD
from model.training.evaluation import Classes, Floats
from model.training.platt import Platt

#: Penalties to choose from, for each kind of classifier: factors of half the squared norm of the
#: weights, in a fit to all training messages. A fit to 3/4 of the messages gets 3/4 of the penalty,
#: so that its scores have the same scale.
#: The penalty of naive Bayes is its smoothing, which is scaled in the same way.
PENALTIES = {ALL: (1.0, 0.3), TOKENS: (1.0, 0.3), BAYES: (0.001, 0.01)}
#: Penalties for large corpora. There is only one for each kind, because a fit takes long. On the
#: presidents' messages, the other penalties were no better.
LARGE_PENALTIES = {ALL: (1.0,), TOKENS: (1.0,), BAYES: (0.001,)}
#: Smallest number of training messages of a large corpus.
LARGE = 10_000
#: In a large corpus, the tuning fold needs at least this many messages to decide alone.
ENOUGH_TUNING = 1_000
#: Choices rest on new messages alone if at least this many, or half of all messages, are new. See
#: :class:`~model.ngram.fitting.Texts`.
ENOUGH_NEW = 300


class Tuned(NamedTuple):
    """The chosen numbers, and the scores by which they were chosen."""

    #: The penalty of each kind of classifier that is mixed.
    penalties: dict[str, float]
    mixture: Mixture
    platt: Platt
    threshold: float
    #: Mixed scores of the messages in the folds that were left out, shape (messages, authors). The
    #: scores of a message are from fits without the message's fold.
    scores: Floats
    #: Author and fold of each of these messages.
    labels: Classes
    folds: Classes
    #: Whether the choices rest on the message.
    used: NDArray[np.bool_]
    #: Dual coefficients of a fit to the folds ``fitted``, for each kind that has some. Other fits
    #: start at these coefficients.
    starts: dict[str, torch.Tensor]
    fitted: Sequence[int]

    def start(self, texts: Texts, kind: str) -> torch.Tensor | None:
        """Returns dual coefficients at which a fit of a kind to all ``texts`` can start.

        A text's coefficients are 0 if the text is in none of the folds ``self.fitted``. The result
        is None for naive Bayes.
        """
        if kind not in self.starts:
            return None
        start = torch.zeros(len(texts.labels), texts.authors)
        start[torch.from_numpy(np.isin(texts.folds, self.fitted))] = self.starts[kind]
        return start


class _Trials(NamedTuple):
    """The messages' scores for each kind of classifier and each penalty.

    The scores of a message are from fits without the message's fold.
    """

    scores: dict[tuple[str, float], Floats]
    #: Author and fold of each message.
    labels: Classes
    folds: Classes
    #: Whether the choices rest on the message.
    used: NDArray[np.bool_]
    #: Dual coefficients of the last fit of each kind with each penalty, and the folds of that fit.
    starts: dict[tuple[str, float], torch.Tensor]
    fitted: Sequence[int]


def tune(texts: Texts, on_progress: Callable[[float], None]) -> Tuned:
    """Chooses penalties, mixture, calibration and threshold by cross-validation.

    ``texts`` are the training messages. ``on_progress`` gets the share of finished fits, 0 to 1.
    """
    large = len(texts.labels) >= LARGE
    some = LARGE_PENALTIES if large else PENALTIES
    # Each training fold is left out in turn. In a large corpus, a fit takes long, so only the
    # tuning fold is left out, if `_decides` allows this.
    folds = [TUNING_FOLD] if large and _decides(texts) else np.unique(texts.folds).tolist()
    trials, shares = _trials(texts, some, folds, on_progress), texts.shares()
    best = {kind: _penalty(trials, kind, some[kind], shares) for kind in some}
    penalties = max(_subsets(best), key=lambda each: _mixed(trials, each, shares)[2])
    chosen, mixed, _ = _mixed(trials, penalties, shares)
    return Tuned(
        penalties,
        chosen,
        *platt.calibrate(mixed[trials.used], trials.labels[trials.used]),
        mixed,
        trials.labels,
        trials.folds,
        trials.used,
        {pair[0]: trials.starts[pair] for pair in penalties.items() if pair in trials.starts},
        trials.fitted,
    )


def _decides(texts: Texts) -> bool:
    """Returns whether the choices may rest on the messages of the tuning fold alone.

    The choices need enough messages in the tuning fold, and the fits need enough messages in the
    other folds.
    """
    # The sizes of the folds can differ much, because documents differ in size.
    size = np.count_nonzero(texts.folds == TUNING_FOLD)
    return bool(ENOUGH_TUNING <= size <= len(texts.labels) / 2)


def _subsets(penalties: dict[str, float]) -> list[dict[str, float]]:
    """Returns the penalties of each mixture to try: all choices of kinds, largest first."""
    sizes = range(len(penalties), 0, -1)
    return [dict(some) for size in sizes for some in combinations(penalties.items(), size)]


def _mixed(
    trials: _Trials, penalties: dict[str, float], shares: Floats
) -> tuple[Mixture, Floats, float]:
    """Returns the mixture of the classifiers with ``penalties``, the mixed scores, and the quality.

    ``penalties`` has the penalty of each kind that is mixed. ``shares`` has each author's share of
    the training messages.
    """
    scores, used = [trials.scores[pair] for pair in penalties.items()], trials.used
    chosen = mixture.choose([part[used] for part in scores], trials.labels[used], shares)
    mixed = chosen.mixed(scores)
    return chosen, mixed, mixture.quality(mixed[used], trials.labels[used])


def _trials(
    texts: Texts,
    penalties: Mapping[str, Sequence[float]],
    folds: Sequence[int],
    on_progress: Callable[[float], None],
) -> _Trials:
    """Leaves out each of ``folds`` in turn, and fits each kind of classifier with each penalty."""
    parts = [texts.part([fold]) for fold in folds]
    pairs = [(kind, penalty) for kind, some in penalties.items() for penalty in some]
    found: dict[tuple[str, float], list[Floats]] = {pair: [] for pair in pairs}
    steps = iter(np.linspace(0, 1, len(folds) * len(pairs) + 1)[1:])
    for fold, part in zip(folds, parts, strict=True):
        rest = [each for each in TRAINING_FOLDS if each != fold]
        fitter = Fitter(texts, rest)
        share = len(fitter.texts.labels) / len(texts.labels)
        starts: dict[tuple[str, float], torch.Tensor] = {}
        for kind, penalty in pairs:
            fitted = fitter.fit(kind, share * penalty, _nearest(starts, kind))
            if isinstance(fitted, Machine):
                starts[kind, penalty] = fitted.dual
            found[kind, penalty].append(fitter.scores(kind, fitted, part.bags))
            on_progress(float(next(steps)))
    return _Trials(
        {pair: np.concatenate(each) for pair, each in found.items()},
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.folds for part in parts]),
        _used(np.concatenate([part.is_new for part in parts])),
        starts,
        rest,
    )


def _used(is_new: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns, for each message, whether the choices rest on it.

    The choices rest on the new messages (see :class:`Texts`). If too few messages are new, the
    choices rest on all messages.
    """
    enough = min(ENOUGH_NEW, len(is_new) / 2)
    return is_new if np.count_nonzero(is_new) >= enough else np.ones_like(is_new)


def _nearest(starts: dict[tuple[str, float], torch.Tensor], kind: str) -> torch.Tensor | None:
    """Returns the dual coefficients of the last fit of a kind; None before the first fit."""
    return next((dual for (name, _), dual in reversed(starts.items()) if name == kind), None)


def _penalty(trials: _Trials, kind: str, penalties: Sequence[float], shares: Floats) -> float:
    """Returns the penalty that gives the best quality if ``kind`` is the only kind.

    For each penalty, :func:`_mixed` chooses the mixture and measures the quality.
    """
    return max(penalties, key=lambda each: _mixed(trials, {kind: each}, shares)[2])
