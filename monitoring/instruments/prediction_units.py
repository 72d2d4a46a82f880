"""Constants for the counts of predictions that workers write to Redis and the monitor reads."""

from __future__ import annotations

#: Equal-width bins in which confidences are counted. The model card's histogram has the same bins,
#: because drift is measured against that histogram.
BINS = 15
#: A share is counted in millionths, because Redis adds up integers without rounding.
MILLION = 1_000_000
