"""The build of torch is chosen before anything is downloaded, and the choice is printed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from compose.installer import torch_build
from compose.installer.torch_build import CPU_INDEX, choose
from tests.parts import ROOT

#: The requirements of torch's build for CUDA, among other packages.
CUDA = ["sympy", 'nvidia-cudnn-cu13==9.20.0.48; platform_system == "Linux"']


@pytest.mark.parametrize(
    ("requested", "gpu", "found", "words", "indexes"),
    [
        (None, False, CUDA, "for CPUs, about 200 MB", (CPU_INDEX, "")),
        (None, False, None, "for CPUs, about 200 MB", (CPU_INDEX, "")),
        (None, True, CUDA, "for CUDA, several GB, because an NVIDIA GPU is here", ("", "")),
        (None, False, ["sympy"], "for CPUs, which pip's own index has", ("", "")),
        ("", False, None, "pip's own index", ("", "")),
        ("https://mine", True, None, "TORCH_INDEX=https://mine", ("", "https://mine")),
    ],
)
def test_build_of_torch_is_chosen_and_said(
    requested: str | None,
    gpu: bool,
    found: list[str] | None,
    words: str,
    indexes: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch_build, "has_gpu", lambda: gpu)
    monkeypatch.setattr(sys, "platform", "linux")
    build = choose(requested, found)
    assert words in build.words
    assert build[1:] == indexes
    if requested is None:
        assert "TORCH_INDEX=" in build.words, "how to change it"


@pytest.mark.parametrize("listed", ["echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)'", "exit 9"])
def test_gpu_is_seen_through_nvidia_smi(
    listed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{listed}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setattr(torch_build, "DEVICES", ())
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert torch_build.has_gpu() is ("GPU" in listed)


def test_lock_says_which_torch() -> None:
    assert torch_build.required(ROOT / "requirements/run.lock").startswith("torch==")
    assert torch_build.required(ROOT / "requirements/exporter.lock") == ""
