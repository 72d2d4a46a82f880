"""The environment variables for torch on Metal."""

from __future__ import annotations

from model.serving import metal


def test_low_watermark_is_below_the_high_watermark() -> None:
    found = metal.environment(0.5)
    low, high = (found[f"PYTORCH_MPS_{mark}_WATERMARK_RATIO"] for mark in ("LOW", "HIGH"))
    assert 0 < float(low) < float(high) == 0.5
    assert found["PYTORCH_ENABLE_MPS_FALLBACK"] == "1"
