"""`poemcore evaluate`: how likely the base and a run's adapter find the run's held-out poems."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from core.cli import add_runs_dir, add_verb, print_json
from core.errors import PoemError
from core.i18n import _


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "evaluate", _("score a run's held-out poems, before and after"), run)
    parser.add_argument("--run", metavar="RUN", dest="wanted_run", default="last", help=_("the run (default: last)"))
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Score three ways: the tuned model, the base by the same template, the base on plain text."""
    from core.model.allocator import keep_freed_memory

    keep_freed_memory()
    from core.evaluation.likelihood import output_likelihood, plain_continuations
    from core.generation.source import find_source
    from core.model.load import load_base
    from core.model.lora import load_adapter
    from core.runs.directory import find_run
    from core.training.prepare import prepare

    found = find_run(Path(args.runs_dir), args.wanted_run)
    source = find_source(runs_dir=Path(args.runs_dir), wanted_run=found.id)
    profile = source.profile
    base = load_base(profile.model.base, dtype=profile.model.dtype, device=profile.model.device)
    prepared = prepare(profile, base.tokenizer, base.embeddings)
    manifest = json.loads(found.manifest_path.read_text(encoding="utf-8"))
    if manifest.get("data", {}).get("sha256") != prepared.file.sha256:
        raise PoemError(
            _("{what} is not what the run began with").format(what=_("the data file")),
            hint=_("Put it back, or start a new run."),
            where=str(prepared.file.path),
        )
    if not prepared.held_out or source.adapter is None:
        raise PoemError(_("the run held no rows out"), hint=_("Train with data.eval_rows above 0."), where=found.id)
    by_number = {row.number: row for row in prepared.file.rows}
    rows = [by_number[item.row] for item in prepared.held_out]
    device = base.device.torch_device
    plain_base = output_likelihood(
        base.model, plain_continuations(prepared.encoder, rows), rows, device=device, with_end=False
    )
    before = output_likelihood(base.model, prepared.held_out, rows, device=device, with_end=False)
    model = load_adapter(base, source.adapter)
    after = output_likelihood(model, prepared.held_out, rows, device=device, with_end=False)
    document = {
        "run": found.id,
        "poems": len(rows),
        "characters": after.characters,
        "base_plain_nats_per_character": plain_base.per_character,
        "base_nats_per_character": before.per_character,
        "tuned_nats_per_character": after.per_character,
    }
    if args.json:
        print_json(document)
        return 0
    print(_("Held-out outputs of {run}: {poems} poems, nats a character").format(run=found.id, poems=len(rows)))
    print(_("  base, plain text        {loss:.3f}").format(loss=plain_base.per_character))
    print(_("  base, as in training    {loss:.3f}").format(loss=before.per_character))
    print(_("  tuned                   {loss:.3f}").format(loss=after.per_character))
    return 0
