"""`poemcore pretrain`: trains a small base model from scratch on a corpus of poems, as the built-in one was made."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from core.cli import add_verb, print_json
from core.i18n import _

_CHECKPOINT = "checkpoint"


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "pretrain", _("train a small base model from scratch"), run)
    parser.add_argument("corpus", type=Path, help=_("a text file, plain or gzip, one poem a line"))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=_("the model folder to write"))
    parser.add_argument("--resume", action="store_true", help=_("go on from the checkpoint in DIR"))
    parser.add_argument("--tokens", type=int, metavar="N", help=_("token budget of the whole run"))
    parser.add_argument("--device", default="auto", help=_("auto, cpu, mps, cuda"))
    parser.add_argument(
        "--checkpoint-every", type=int, default=100, metavar="STEPS", help=_("steps between checkpoints")
    )
    parser.add_argument("--eval-every", type=int, default=200, metavar="STEPS", help=_("steps between held-out losses"))


def run(args: argparse.Namespace) -> int:
    """Train, print the held-out loss as it falls, write the model folder."""
    from core.model.allocator import keep_freed_memory

    keep_freed_memory()
    from tokenizers import Tokenizer

    from core.model.corpus import read_corpus
    from core.model.device import choose_device
    from core.model.pretrain import Plan, Pretraining, read_state, score_poems

    corpus = read_corpus(args.corpus)
    plan = Plan()
    tokenizer = None
    checkpoint = args.out / _CHECKPOINT
    if args.resume:
        kept = read_state(checkpoint)["plan"]
        plan = Plan(**{field.name: kept[field.name] for field in fields(Plan)})
        tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    if args.tokens is not None:
        plan = replace(plan, tokens=args.tokens)
    device = choose_device(args.device)
    pretraining = Pretraining(corpus, plan, device=device.torch_device, tokenizer=tokenizer)
    if args.resume:
        pretraining.load_checkpoint(checkpoint)
    parameters = sum(parameter.numel() for parameter in pretraining.model.parameters())
    print(
        _("{poems} poems, {held_out} more held out; {parameters} parameters; on {device}").format(
            poems=len(corpus.train), held_out=len(corpus.held_out), parameters=parameters, device=device.reason
        ),
        file=sys.stderr,
    )
    for progress in pretraining.train(report_every=20, eval_every=args.eval_every):
        held_out = progress.held_out_per_character
        print(
            _("step {step}  tokens {tokens}  loss {loss:.3f} a token  rate {rate:.2f}  {speed:.0f} tokens/s").format(
                step=progress.step,
                tokens=progress.tokens,
                loss=progress.loss_per_token,
                rate=progress.rate,
                speed=progress.tokens_per_s,
            )
            + (_("  held out {loss:.3f} a character").format(loss=held_out) if held_out is not None else ""),
            file=sys.stderr,
            flush=True,
        )
        if progress.step % args.checkpoint_every == 0:
            pretraining.save_checkpoint(checkpoint)
    pretraining.save_checkpoint(checkpoint)
    pretraining.export(args.out)
    score = score_poems(pretraining.model, pretraining.tokenizer, corpus.held_out)
    report = {
        "model": str(args.out),
        "steps": pretraining.step,
        "tokens": pretraining.tokens,
        "parameters": parameters,
        "held_out_poems": score.poems,
        "held_out_nats_per_character": score.per_character,
        "plan": asdict(plan),
    }
    if args.json:
        print_json(report)
    else:
        print(
            _("{model}: {loss:.3f} nats a character on {poems} held-out poems after {tokens} tokens").format(
                model=args.out, loss=score.per_character, poems=score.poems, tokens=pretraining.tokens
            )
        )
    return 0
