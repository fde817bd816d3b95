"""`poemcore encode`: shows one row as the model sees it, token by token."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from core.cli import add_verb, print_json
from core.errors import PoemError
from core.i18n import _
from core.plain import plain

_LEARNT, _GIVEN, _END = "\x1b[32m", "\x1b[2m", "\x1b[0m"


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "encode", _("show a row as token ids"), run)
    parser.add_argument("file", metavar="FILE", help=_("a data file, or builtin:tang-sample"))
    parser.add_argument("--row", type=int, default=0, metavar="N", help=_("the row's number, from 0"))
    parser.add_argument("--epoch", type=int, default=0, metavar="N", help=_("draw the task as in this epoch, from 0"))
    parser.add_argument("--profile", default="tang-tiny-cpu", metavar="P", help=_("a preset's name or a profile file"))
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=_("change a key of the profile"),
    )


def run(args: argparse.Namespace) -> int:
    """Encode one row and print it."""
    from core.data.recipe import DEFAULT_TASK, make_example
    from core.data.rows import read_rows
    from core.profile.document import load_profile

    profile = load_profile(args.profile, overrides=args.overrides)
    data = profile.data
    file = read_rows(args.file, columns=data.columns or None, on_bad_row=data.on_bad_row)
    row = next((row for row in file.rows if row.number == args.row), None)
    if row is None:
        raise PoemError(
            _("there is no row {row}").format(row=args.row),
            hint=_("Rows are numbered from 0; this file's last is {last}.").format(last=file.rows[-1].number),
            where=args.file,
        )
    from core.base_folder import resolve_base
    from core.encoding.encode import fit, make_encoder
    from core.model.load import load_tokenizer, read_embeddings

    folder = resolve_base(profile.model.base)
    tokenizer = load_tokenizer(folder)
    embeddings = read_embeddings(folder) if data.template == "auto" else None  # without them, no weights are read
    encoder = make_encoder(tokenizer, template=data.template, embeddings=embeddings)
    example = make_example(
        row,
        data.tasks or (DEFAULT_TASK,),
        system_prompt=data.system_prompt,
        seed=profile.train.seed,
        epoch=args.epoch,
    )
    kept, _long = fit(encoder.encode([example]), cutoff_len=data.cutoff_len, overlong=data.overlong)
    if not kept:
        raise PoemError(
            _("the row is longer than data.cutoff_len = {cutoff} tokens and would be dropped").format(
                cutoff=data.cutoff_len
            ),
            hint=_("Raise data.cutoff_len, or see it cut off with --set data.overlong=truncate."),
            where=_("{file}, row {row}").format(file=args.file, row=args.row),
        )
    encoded = kept[0]
    tokens = [str(tokenizer.decode([token])) for token in encoded.ids]
    if args.json:
        print_json(
            {
                "ids": list(encoded.ids),
                "supervised_from": encoded.supervised_from,
                "tokens": tokens,
                "prompt": encoder.prompt_text(example),
                "task": encoded.task,
            }
        )
        return 0
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    given = "|".join(map(plain, tokens[: encoded.supervised_from]))
    learnt = "|".join(map(plain, tokens[encoded.supervised_from :]))
    print(f"{_GIVEN}{given}{_END}" if colours else given)
    print(f"{_LEARNT}{learnt}{_END}" if colours else learnt)
    print(
        _("{given} tokens given, {learnt} learnt; task {task}; template: {reason}").format(
            given=encoded.supervised_from,
            learnt=len(encoded.ids) - encoded.supervised_from,
            task=plain(encoded.task),
            reason=encoder.reason,
        )
    )
    return 0
