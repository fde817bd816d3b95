"""`poemcore demo`: the main job on what is built in, from the sample to a completed poem, in a few minutes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from core.cli import add_runs_dir, add_verb, print_json
from core.i18n import _

COUPLET = "白日依山盡，黃河入海流。"
_PRESET = "tang-tiny-cpu"


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "demo", _("teach the built-in model the bundled poems, before and after"), run)
    parser.add_argument("--max-steps", type=int, metavar="N", help=_("stop training early"))
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Review the sample, train, evaluate, complete."""
    from core.model.allocator import keep_freed_memory

    keep_freed_memory()
    from core.profile.document import load_profile
    from core.training.worker import start
    from core.verbs.train import ProgressLine, print_outcome

    overrides = [] if args.max_steps is None else [f"train.max_steps={args.max_steps}"]
    profile = load_profile(_PRESET, overrides=overrides)
    _review(profile)
    outcome = start(profile, runs_dir=Path(args.runs_dir), name="demo", on_event=ProgressLine())
    if outcome.status != "finished":
        return print_outcome(outcome, as_json=args.json)
    before, after = _complete(profile, None, outcome), _complete(profile, outcome.run.adapter_path, outcome)
    if args.json:
        print_json(
            {
                "run": outcome.run.id,
                "eval_loss_base": outcome.eval_loss_base,
                "eval_loss": outcome.eval_loss,
                "prompt": COUPLET,
                "base": before,
                "tuned": after,
            }
        )
        return 0
    print()
    print(
        _("Held-out loss: {base:.3f} before, {tuned:.3f} after (nats a token)").format(
            base=outcome.eval_loss_base, tuned=outcome.eval_loss
        )
    )
    from core.plain import plain

    print(_("{couplet} continued by the base:  {text}").format(couplet=COUPLET, text=plain(before)))
    print(_("{couplet} continued once tuned:   {text}").format(couplet=COUPLET, text=plain(after)))
    print()
    print(_("Your turn: poemtui opens the app; poemcore complete TEXT --run last writes more."))
    return 0


def _review(profile: Any) -> None:
    """What each section of the review says first."""
    from core.plain import plain
    from core.report.document import Section, Text
    from core.review.review import review

    for section in review(profile, profile.data.path):
        if isinstance(section, Section):
            said = next((block.text for block in section.blocks if isinstance(block, Text)), "")
            print(f"{section.title}: {plain(said)}", file=sys.stderr)
    command = f"poemcore review {profile.data.path} --profile {_PRESET}"
    print(_("All of the review: {command}").format(command=command), file=sys.stderr)


def _complete(profile: Any, adapter: Path | None, outcome: Any) -> str:
    from core.encoding.encode import make_encoder
    from core.generation.decode import Completion, complete, sampling_of
    from core.generation.prompt import make_completion_example, trained_instruction
    from core.model.load import load_base
    from core.model.lora import load_adapter

    base = load_base(profile.model.base, dtype=profile.model.dtype, device=profile.model.device)
    encoder = make_encoder(base.tokenizer, template=profile.data.template, embeddings=base.embeddings)
    model: Any = base.model if adapter is None else load_adapter(base, adapter)
    example = make_completion_example(COUPLET, profile, trained_instruction(outcome.run))
    keys = profile.generation
    sampling = sampling_of(keys)
    stream = complete(
        model,
        base.tokenizer,
        encoder.prompt_ids(example),
        end_ids=encoder.end_ids,
        sampling=sampling,
        seeds=[keys.seed],
    )
    return next(item.text for item in stream if isinstance(item, Completion))
