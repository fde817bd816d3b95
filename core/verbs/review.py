"""`poemcore review`: what a data file is worth, what each key of a profile does with it, and what to change."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.audit.kinds import EXCLUDABLE, OF_TOKENS
from core.cli import add_verb, json_text, print_json
from core.errors import PoemError
from core.i18n import _
from core.paths import path_of
from core.plain import plain

if TYPE_CHECKING:
    from core.profile.schema import Profile
    from core.report.document import Section
    from core.review.review import Findings

_PRESET = "tang-qwen2-1.5b"
_CLEANED = ("duplicate", "near-duplicate", "tiny-field", "missing-character")
_WIDTH, _NARROWEST, _WIDEST = 100, 40, 110


def add(subparsers: Any) -> None:
    """Declare the verb."""
    parser = add_verb(
        subparsers, "review", _("review a data file and a profile: what they are worth, and what to change"), run
    )
    parser.add_argument("file", metavar="FILE", help=_("a data file, or builtin:tang-sample"))
    parser.add_argument(
        "--profile",
        default=_PRESET,
        metavar="P",
        help=_("a preset's name or a profile file, of which FILE replaces data.path (default: {preset})").format(
            preset=_PRESET
        ),
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=_("change a key of the profile"),
    )
    parser.add_argument(
        "--tokenizer",
        metavar="FOLDER",
        default="",
        help=_("count tokens with the tokenizer.json in this folder, where the profile's base is not on this machine"),
    )
    parser.add_argument("--markdown", action="store_true", help=_("print the report as Markdown"))
    parser.add_argument(
        "-o", "--output", metavar="OUT", default="", help=_("write the report to a file, as Markdown or with --json")
    )
    parser.add_argument("--force", action="store_true", help=_("replace the report's file where it exists"))
    parser.add_argument(
        "--write-clean",
        metavar="OUT",
        default="",
        dest="clean",
        help=_("write a copy of the data file, JSON or JSONL, without the rows that have some kinds of problems"),
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        choices=(*EXCLUDABLE, *OF_TOKENS),
        metavar="KIND",
        help=_("a kind of problem for --write-clean, may be given again (default: {kinds})").format(
            kinds=", ".join(_CLEANED)
        ),
    )
    parser.add_argument("--loss", action="store_true", help=_("let the base score every row; takes long"))
    parser.add_argument(
        "--probe", action="store_true", help=_("make a few steps here, to forecast memory and time more closely")
    )


def run(args: argparse.Namespace) -> int:
    """Review, show each section as soon as it is ready, and write what shall be written."""
    from core.profile.document import load_profile

    _check_arguments(args)
    profile = load_profile(args.profile, overrides=args.overrides)
    title = _("Review of {file} with the profile {profile}").format(file=args.file, profile=args.profile)
    sections, findings = _review(args, profile, title)
    cleaned = _write_clean(args, findings) if args.clean else None
    if args.json:
        _give_document(args, findings, cleaned)
        return 0
    if args.markdown or args.output:
        _give_markdown(args, sections, title)
    if cleaned is not None:
        # Beside a report on stdout it would be no part of the document.
        print(_cleaned_words(cleaned), file=None if args.output or not args.markdown else sys.stderr)
    return 0


def _review(args: argparse.Namespace, profile: Profile, title: str) -> tuple[list[Section], Findings]:
    """Everything; what is meant for people is shown on the way."""
    screen = None if args.json or args.markdown or args.output else _Screen(title)
    progress = _Progress()
    progress.tell(_("loading libraries"))
    from core.report.document import Section
    from core.review.review import review

    gc.freeze()  # what was imported is no garbage, and looking through it again and again takes a tenth of the time
    sections: list[Section] = []
    reviewing = review(
        profile,
        args.file,
        source=args.profile,
        overrides=args.overrides,
        tokenizer=args.tokenizer,
        probe=args.probe,
        loss=args.loss,
        tell=progress.tell,
    )
    try:
        for item in reviewing:
            if not isinstance(item, Section):
                return sections, item
            sections.append(item)
            if screen:
                progress.clear()
                screen.show(item)
    finally:
        progress.clear()
    raise RuntimeError("a review ends in its findings")


def _check_arguments(args: argparse.Namespace) -> None:
    """Refuse at once what would be refused after the work."""
    from core.audit.clean import check_clean_name
    from core.convert import check_target

    if args.json and args.markdown:
        raise PoemError(_("--json and --markdown exclude each other"), hint=_("Give one of them."))
    if args.exclude and not args.clean:
        raise PoemError(
            _("--exclude says what --write-clean leaves out"),
            hint=_("Add --write-clean OUT, or name the kinds in data.exclude of the profile."),
        )
    if args.output:
        check_target(args.file, path_of(args.output), force=args.force)
    if args.clean:
        check_target(args.file, path_of(args.clean), force=False)
        check_clean_name(path_of(args.clean))
        if args.output and path_of(args.clean) == path_of(args.output):
            raise PoemError(_("the report and the cleaned file have one name"), hint=_("Give two names."))


def _write_clean(args: argparse.Namespace, findings: Findings) -> dict[str, Any]:
    """Write the copy; what became of the rows, as JSON has it."""
    from core.audit.clean import write_clean

    kinds = args.exclude or _CLEANED
    left_out = {problem.kind: problem.rows for problem in findings.problems if problem.kind in kinds}
    numbers = {number for rows in left_out.values() for number in rows}
    written = write_clean(findings.file, numbers, path_of(args.clean))
    return {
        "path": args.clean,
        "rows": written,
        "left_out": {kind: len(rows) for kind, rows in left_out.items()},
        "left_out_rows": sorted(numbers),
    }


def _cleaned_words(cleaned: Mapping[str, Any]) -> str:
    from core.audit.kinds import KINDS

    lines = [
        _("wrote {path}: {rows} rows; left out: {count}").format(
            path=plain(cleaned["path"]), rows=f"{cleaned['rows']:,}", count=f"{len(cleaned['left_out_rows']):,}"
        )
    ]
    lines += [f"  {count:,}  {kind}: {_(KINDS[kind].title)}" for kind, count in cleaned["left_out"].items()]
    return "\n".join(lines)


def _give_document(args: argparse.Namespace, findings: Findings, cleaned: Mapping[str, Any] | None) -> None:
    from core.review.export import document_of

    document = {"profile": args.profile, **document_of(findings)}
    if cleaned is not None:
        document["clean"] = cleaned
    if not args.output:
        print_json(document)
        return
    from core.data.written import write_new

    write_new(path_of(args.output), [json_text(document), "\n"], overwrite=args.force)
    print_json({"path": args.output})


def _give_markdown(args: argparse.Namespace, sections: Sequence[Section], title: str) -> None:
    from core.data.written import write_new
    from core.report.markdown import to_markdown

    text = to_markdown(sections, title)
    if not args.output:
        print(text, end="")
        return
    write_new(path_of(args.output), [text], overwrite=args.force)
    print(_("wrote {path}").format(path=plain(args.output)))


class _Screen:
    """The report on stdout, for people."""

    def __init__(self, title: str) -> None:
        """Look how wide it is; the title comes with the first section."""
        self._title = title
        self._width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((_WIDTH, 24)).columns))
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def show(self, section: Section) -> None:
        """The next section."""
        from core.report.terminal import to_text

        if self._title:
            print(plain(self._title) + "\n")
            self._title = ""
        print(to_text(section, self._width, self._colours), end="", flush=True)


class _Progress:
    """What is being done, in one line of stderr that is taken away again; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()

    def tell(self, doing: str) -> None:
        """Show it in the place of what was shown."""
        if self._is_terminal:
            print(f"\r{plain(doing)} …\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
