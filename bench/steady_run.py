"""A run that writes events at a steady pace: the runs directory and the events per second are its arguments."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

from core.runs.directory import create_run
from core.runs.event_log import EventLog
from core.runs.events import RunStarted, StepDone
from core.runs.lock import lock_run


def main(runs_dir: Path, events_per_s: float) -> None:
    """Write until killed."""
    run = create_run(runs_dir, name="steady")
    with lock_run(run), EventLog(run.events_path) as log:
        log.append(
            RunStarted(
                run=run.id,
                rows=1000,
                eval_rows=100,
                steps=100_000,
                epochs=1,
                base="builtin:tang-tiny",
                device="cpu",
                dtype="float32",
                resumed_from_step=0,
                supervised_tokens=30_000,
                trainable_parameters=100_000,
            )
        )
        for step in range(1, 100_000):
            loss = 4.2 - 0.3 * math.tanh(step / 500) + 0.1 * math.sin(step * 12.9898)
            figures = {"loss": loss, "lr": 2e-4, "grad_norm": 1.0, "tokens_per_s": 40_000.0, "step_s": 0.02}
            log.append(
                StepDone(step=step, epoch=step / 1000, tokens=800, memory_bytes=(600 + step // 500) * 2**20, **figures)
            )
            time.sleep(1 / events_per_s)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
