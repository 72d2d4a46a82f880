"""How answers are counted in Redis."""

from __future__ import annotations

#: Equal-width bins of confidence: those of the model card, which is what drift is measured against.
BINS = 15
#: Shares are counted in millionths: Redis adds up integers without rounding.
MILLION = 1_000_000
