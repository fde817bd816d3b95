"""`poemcore runs`: every run of a runs directory, with how far it is and what it reached."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from core.cli import add_runs_dir, add_verb, print_json
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain
from core.report.cells import cell_width
from core.runs.directory import RunDirectory, list_runs
from core.runs.view import RunView, view_run
from core.runs.wording import duration, loss_words, status_words

_BASE_CELLS = 32


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "runs", _("list the runs, oldest first"), run)
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table, or `{"runs": [...]}`. A run whose files can't be read is named on stderr and left out."""
    runs_dir = path_of(args.runs_dir)
    seen: list[tuple[RunDirectory, RunView]] = []
    refused = False
    for directory in list_runs(runs_dir):
        try:
            seen.append((directory, view_run(directory)))
        except PoemError as error:
            refused = True
            print(f"poemcore: {error}", file=sys.stderr)
    if args.json:
        print_json({"runs": [run_document(directory, view) for directory, view in seen]})
    elif seen or refused:
        for line in table([view for _directory, view in seen]):
            print(line)
    else:
        print(_("There are no runs in {directory}.").format(directory=plain(str(runs_dir))))
    return 0


def run_document(run: RunDirectory, view: RunView) -> dict[str, Any]:
    """A run for `--json`; times in seconds, losses in nats per supervised token."""
    return {
        "id": view.id,
        "path": str(run.path),
        "status": view.status,
        "step": view.step,
        "steps": view.steps,
        "epochs": view.epochs,
        "rows": view.rows,
        "eval_rows": view.eval_rows,
        "base": view.base,
        "device": view.device,
        "dtype": view.dtype,
        "loss": view.loss,
        "smoothed_loss": view.smoothed_loss,
        "lr": view.lr,
        "tokens_per_s": view.tokens_per_s,
        "eta_s": view.eta_s,
        "eval_loss_base": view.eval_loss_base,
        "eval_loss": view.eval_loss,
        "adapter": view.adapter or None,
        "best": None if view.best is None else {"step": view.best[0], "loss": view.best[1]},
        "evaluating": view.evaluating,
        "queued_behind": view.queued_behind or None,
        "pause_reason": view.pause_reason or None,
        "pause_message": view.pause_message or None,
        "stop_reason": view.stop_reason or None,
        "error": None
        if view.error is None
        else {"message": view.error.message, "hint": view.error.hint, "where": view.error.where},
        "started_s": view.started_s,
        "ended_s": view.ended_s,
        "worked_s": round(view.worked_s, 3),
    }


def table(views: Sequence[RunView]) -> list[str]:
    """The runs as lines whose columns line up in terminal cells, wide characters counted as two."""
    head = (_("run"), _("status"), _("step"), _("held-out loss"), _("base"), _("time"))
    rows = [head]
    for view in views:
        rows.append(
            (
                plain(view.id),
                status_words(view),
                f"{view.step}/{view.steps}" if view.steps else "-",
                f"{loss_words(view.eval_loss_base)} → {loss_words(view.eval_loss)}",
                _tail(plain(view.base), _BASE_CELLS) or "-",
                duration(view.worked_s),
            )
        )
    widths = [max(cell_width(row[column]) for row in rows) for column in range(len(head))]
    return [
        "  ".join(text + " " * (width - cell_width(text)) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _tail(text: str, cells: int) -> str:
    """The end of `text` that fits into so many cells: of a long path, the end names the model."""
    if cell_width(text) <= cells:
        return text
    while text and cell_width(text) > cells - 1:
        text = text[1:]
    return "…" + text
