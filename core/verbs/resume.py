"""`poemcore resume`: goes on with an interrupted run from its newest checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.cli import add_runs_dir, add_verb
from core.i18n import _


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "resume", _("go on with a run that was interrupted"), run)
    parser.add_argument("wanted_run", metavar="RUN", help=_("an id, the beginning of one, or last"))
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Train on until the end or an interrupt."""
    from core.model.allocator import keep_freed_memory
    from core.runs.directory import find_run

    found = find_run(Path(args.runs_dir), args.wanted_run)
    keep_freed_memory()
    from core.training.worker import resume
    from core.verbs.train import ProgressLine, print_outcome

    return print_outcome(resume(found, on_event=ProgressLine()), as_json=args.json)
