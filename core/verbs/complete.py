"""`poemcore complete`: the first lines of a poem in, the rest of it out, as it is written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import add_runs_dir, add_verb, print_json
from core.errors import PoemError
from core.i18n import _
from core.plain import plain

if TYPE_CHECKING:
    from core.generation.decode import Completion, Piece

_LARGEST_TEXT_BYTES = 1_000_000
# Flag → the key of [generation] whose range it is checked by.
_FLAGS = {
    "count": "N",
    "seed": "S",
    "temperature": "T",
    "top_p": "P",
    "top_k": "K",
    "max_new_tokens": "N",
    "repetition_penalty": "X",
    "no_repeat_ngram_size": "N",
}


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(subparsers, "complete", _("finish a poem from its first lines"), run)
    parser.add_argument("text", metavar="TEXT", help=_("the first lines; - reads them from standard input"))
    parser.add_argument("--run", metavar="RUN", dest="wanted_run", help=_("complete with the adapter of this run"))
    parser.add_argument("--adapter", metavar="DIR", help=_("complete with the adapter in this folder"))
    parser.add_argument(
        "--profile",
        metavar="P",
        help=_("complete with the base model of a preset or profile file; or --adapter's base"),
    )
    parser.add_argument(
        "--base-only", action="store_true", help=_("leave the adapter off, to see what the base writes")
    )
    parser.add_argument(
        "--instruction", metavar="TEXT", help=_("what the model is asked to do (default: as in training)")
    )
    parser.add_argument("--convert", action="store_true", help=_("convert Simplified characters and ASCII punctuation"))
    for name, metavar in _FLAGS.items():
        parser.add_argument(
            "--" + name.replace("_", "-"), metavar=metavar, help=_("instead of {key}").format(key=f"generation.{name}")
        )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=_("change a key of the profile"),
    )
    add_runs_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Load the model and print what it writes."""
    from core.model.allocator import keep_freed_memory

    keep_freed_memory()  # before torch, which may come with any of the next

    from core.generation.prompt import check_prompt_text, make_completion_example, trained_instruction
    from core.generation.source import find_source

    text = _take_conversion(check_prompt_text(*_read_text(args.text)), args.convert)
    asked = None if args.instruction is None else check_prompt_text(args.instruction, "--instruction")
    overrides = [*args.overrides]
    overrides += [f"generation.{name}={value}" for name in _FLAGS if (value := getattr(args, name)) is not None]
    source = find_source(
        runs_dir=Path(args.runs_dir),
        wanted_run=args.wanted_run,
        adapter=None if args.adapter is None else Path(args.adapter),
        profile=args.profile,
        base_only=args.base_only,
        overrides=overrides,
    )
    profile, adapter = source.profile, source.adapter
    example = make_completion_example(text, profile, asked or trained_instruction(source.trained_in), asked)

    from core.encoding.encode import make_encoder
    from core.generation.decode import complete, sampling_of
    from core.model.load import load_base

    base = load_base(profile.model.base, dtype=profile.model.dtype, device=profile.model.device)
    encoder = make_encoder(
        base.tokenizer,
        template=profile.data.template,
        embeddings=base.embeddings,
    )
    model: Any = base.model
    if adapter is not None:
        from core.model.lora import load_adapter

        model = load_adapter(base, adapter)
    keys = profile.generation
    stream = complete(
        model,
        base.tokenizer,
        encoder.prompt_ids(example),
        end_ids=encoder.end_ids,
        sampling=sampling_of(keys),
        seeds=range(keys.seed, keys.seed + keys.count),
    )
    if not args.json:
        _print_stream(stream, text, keys.count)
        return 0
    print_json(
        {
            "prompt": encoder.prompt_text(example),
            "completions": [
                {
                    "text": completion.text,
                    "seed": completion.seed,
                    "tokens": completion.tokens,
                    "stop": completion.stop,
                    "seconds": round(completion.seconds, 3),
                }
                for completion in _in_order(stream)
            ],
            "model": base.name,
            "adapter": str(adapter) if adapter is not None else None,
        }
    )
    return 0


def _read_text(argument: str) -> tuple[str, str]:
    """The text and where it comes from."""
    if argument != "-":
        return argument, "TEXT"
    where = _("standard input")
    content = sys.stdin.buffer.read(_LARGEST_TEXT_BYTES + 1)
    if len(content) > _LARGEST_TEXT_BYTES:
        raise PoemError(_("more than 1 MB is no beginning of a poem"), hint=_("Give its first lines."), where=where)
    try:
        return content.decode("utf-8-sig").rstrip("\r\n"), where
    except UnicodeDecodeError as error:
        raise PoemError(
            _("not UTF-8: byte {byte} at position {position}").format(
                byte=f"0x{content[error.start]:02X}", position=error.start
            ),
            hint=_("Convert it first, such as with: iconv -f GB18030 -t UTF-8"),
            where=where,
        ) from None


def _take_conversion(text: str, wanted: bool) -> str:
    """The converted text where it is wanted; otherwise say what it would be. Either way it is shown."""
    from core.data.script import traditional_form

    found = traditional_form(text)
    if found is None:
        return text
    kinds = [_("Simplified characters ({these})").format(these=found.simplified)] if found.simplified else []
    kinds += [_("ASCII punctuation ({these})").format(these=found.marks)] if found.marks else []
    shown = plain(found.text, keep_newlines=True)
    if wanted:
        print(_("Converted: {text}").format(text=shown), file=sys.stderr)
        return found.text
    print(
        _("The text has {kinds}, which the poems of the training data don't have. It is left as it is.").format(
            kinds=_(" and ").join(kinds)
        ),
        _("With --convert it becomes: {text}").format(text=shown),
        sep="\n",
        file=sys.stderr,
    )
    return text


def _in_order(stream: Iterator[Piece | Completion]) -> Iterator[Completion]:
    """Each completion as soon as it and all before it have ended."""
    from core.generation.decode import Completion

    waiting: dict[int, Completion] = {}
    following = 0
    for item in stream:
        if isinstance(item, Completion):
            waiting[item.candidate] = item
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def _print_stream(stream: Iterator[Piece | Completion], text: str, count: int) -> None:
    """One completion as it is written, several one after another."""
    from core.generation.decode import Piece

    print(plain(text, keep_newlines=True), end="\n" if count > 1 else "", flush=True)
    if count > 1:
        for completion in _in_order(stream):
            print(f"{completion.seed}\t{plain(completion.text, keep_newlines=True)}", flush=True)
            _tell_cut(completion)
        return
    for item in stream:
        if isinstance(item, Piece):
            print(plain(item.text, keep_newlines=True), end="", flush=True)
        else:
            print(flush=True)
            _tell_cut(item)


def _tell_cut(completion: Completion) -> None:
    if completion.stop == "length":
        print(
            _("The completion of seed {seed} was cut off after {tokens} tokens.").format(
                seed=completion.seed, tokens=completion.tokens
            ),
            file=sys.stderr,
        )
