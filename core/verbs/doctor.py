"""`poemcore doctor`: whether this machine can do the work, what will be slow, and how to mend it."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from core.cli import add_runs_dir, add_verb, print_json
from core.i18n import N_, _
from core.paths import path_of
from core.report.cells import cell_width

LEVEL_LABELS = {"ok": N_("ok"), "warn": N_("warning"), "bad": N_("bad")}
TOPIC_LABELS = {
    "python": N_("Python"),
    "torch": N_("PyTorch"),
    "device": N_("device"),
    "cpu": N_("processor"),
    "memory": N_("memory"),
    "disk": N_("disk"),
    "terminal": N_("terminal"),
    "packages": N_("packages"),
}


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "doctor", _("look at this machine: what works, what is slow, how to mend it"), run)
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Print every finding; exit 1 where something is bad."""
    from core.doctor import findings
    from core.machine import look

    found = findings(look(path_of(args.runs_dir)))
    if args.json:
        print_json({"findings": [dataclasses.asdict(finding) for finding in found]})
    else:
        labels = [(_(LEVEL_LABELS[finding.level]), _(TOPIC_LABELS[finding.topic])) for finding in found]
        widths = [max(cell_width(label[column]) for label in labels) for column in (0, 1)]
        for finding, label in zip(found, labels, strict=True):
            padded = [text + " " * (width - cell_width(text)) for text, width in zip(label, widths, strict=True)]
            print("  ".join([*padded, finding.message]))
            if finding.hint:
                print(" " * (sum(widths) + 4) + "→ " + finding.hint)
    return 1 if any(finding.level == "bad" for finding in found) else 0
