"""Samples the utilisation of an NVIDIA GPU with nvidia-smi."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from types import TracebackType

#: Milliseconds between two samples.
EVERY_MS = 200


class Utilisation:
    """Samples the first GPU's utilisation during a ``with`` block.

    Without nvidia-smi, this class does nothing.
    """

    def __enter__(self) -> Utilisation:
        command = [
            "nvidia-smi",
            "--query-gpu=utilization.gpu",
            "--format=csv,noheader,nounits",
            "--id=0",
            f"--loop-ms={EVERY_MS}",
        ]
        self._samples: list[float] = []
        self._process = (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            if shutil.which(command[0])
            else None
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        output, _ = self._process.communicate()
        self._samples = [float(line) for line in output.split() if line.strip().isdigit()]

    def mean(self) -> float | None:
        """Returns the mean share of time in which the GPU computed, in percent; None if unknown."""
        return statistics.mean(self._samples) if self._samples else None
