"""The worker process: started by `core.runs.launch`, it does one run's work and ends."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Work on a run; 0 when it finished or was stopped, 1 when it failed."""
    # Before anything else: signals are held back until they are handled.
    from core.training.commands import Interrupts

    interrupts = Interrupts()
    from core import i18n
    from core.errors import PoemError
    from core.runs.directory import RunDirectory
    from core.runs.lock import adopt
    from core.training.worker import work

    parser = argparse.ArgumentParser(prog="python -m core.training")
    parser.add_argument("run", type=Path)
    parser.add_argument("--lock", type=int, required=True)
    args = parser.parse_args()
    i18n.use()
    run = RunDirectory(args.run)
    lock = adopt(args.lock, run.lock_path)
    if lock is None:
        print(f"{run.path}: another process has the run", file=sys.stderr)
        return 1
    try:
        work(run, interrupts=interrupts, listeners=[])
    except PoemError as error:
        print(error, file=sys.stderr)  # the events say it too
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
