"""`poemcore`: parses the command line, calls one verb, turns a `PoemError` into one message and exit code 2.

It knows what verbs have in common, not what any of them does.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import io
import json
import math
import os
import select
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from core import __version__, i18n
from core.errors import PoemError, WorkError
from core.i18n import N_, _
from core.plain import plain
from core.runs.directory import default_runs_dir

VERBS = (
    "demo",
    "review",
    "train",
    "resume",
    "stop",
    "control",
    "queue",
    "complete",
    "evaluate",
    "verse",
    "encode",
    "profile",
    "runs",
    "follow",
    "convert",
    "pretrain",
    "doctor",
)


# argparse looks up its own words in the catalogue in use; named here so that the extractor finds them.
ARGPARSE_WORDS = (
    N_("usage: "),
    N_("positional arguments"),
    N_("options"),
    N_("show this help message and exit"),
    N_("show program's version number and exit"),
    N_("argument %(argument_name)s: %(message)s"),
    N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"),
    N_("expected one argument"),
    N_("expected at least one argument"),
    N_("invalid %(type)s value: %(value)r"),
    N_("not allowed with argument %s"),
    N_("one of the arguments %s is required"),
    N_("ignored explicit argument %r"),
)


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors look like every other input error."""

    def error(self, message: str) -> NoReturn:
        raise PoemError(message, hint=_("Try: {command} --help").format(command=self.prog))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse what a verb doesn't know while it is still known which verb was meant."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            nearest = difflib.get_close_matches(option, self._option_string_actions, n=1)
            if nearest and option.startswith("-"):
                raise PoemError(
                    _("unrecognized arguments: %s") % " ".join(unknown),
                    hint=_("Did you mean {nearest}?").format(nearest=nearest[0]),
                )
            self.error(_("unrecognized arguments: %s") % " ".join(unknown))
        return namespace, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Where argparse would list all choices in one long line, offer the nearest."""
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        nearest = difflib.get_close_matches(str(value), choices, n=1)
        raise PoemError(
            _("{value} is no {what}").format(value=value, what=action.metavar or "/".join(action.option_strings)),
            hint=_("Did you mean {nearest}?").format(nearest=nearest[0])
            if nearest
            else _("Choose one of: {choices}").format(choices=", ".join(choices)),
        )


def print_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout, the only thing that a verb with `--json` writes there."""
    print(json_text(document), flush=True)


def json_text(document: Mapping[str, Any]) -> str:
    """A JSON document in one line.

    A number that JSON has no word for (NaN, infinity) becomes null; characters that a terminal would obey are escaped.
    """
    text = json.dumps(_finite(document), ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def add_verb(subparsers: Any, name: str, help: str, run: Any) -> argparse.ArgumentParser:
    """Declare one verb with the options that every verb takes."""
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help, description=help, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help=_("print one JSON document on stdout"))
    _add_lang(parser)
    parser.set_defaults(run=run)
    return parser


def _add_lang(parser: argparse.ArgumentParser) -> None:
    # It has been looked up before parsing (`_language_in`); here it only is declared.
    parser.add_argument(
        "--lang",
        choices=i18n.LANGUAGES,
        default=argparse.SUPPRESS,
        help=_("language of messages (default: the locale's)"),
    )


def add_runs_dir(parser: argparse.ArgumentParser) -> None:
    """Add `--runs-dir`, for every verb that touches runs."""
    parser.add_argument(
        "--runs-dir",
        default=default_runs_dir(),
        metavar="DIR",
        help=_("where runs are kept (default: $POEMTUI_RUNS, else ./runs)"),
    )


def count(text: str) -> int:
    """The type of an argument that is 0, 1, 2 …"""
    if not text.isdecimal() or len(text) > 12:
        raise argparse.ArgumentTypeError(_("{text} is no number of 0 or more").format(text=text[:40]))
    return int(text)


def seconds(text: str) -> float:
    """The type of an argument that is a time: 0 or more seconds."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(_("{text} is no number of 0 or more").format(text=text[:40]))
    return number


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Imports every verb's module, none of which is heavy."""
    parser = _Parser(
        prog="poemcore",
        description=_("Teach a language model to write Tang poems: everything that poemtui does, without a screen."),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"poemtui {__version__}")
    _add_lang(parser)
    subparsers = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    for verb in VERBS:
        importlib.import_module(f"core.verbs.{verb}").add(subparsers)
    return parser


def _language_in(arguments: Sequence[str]) -> str | None:
    """The value of `--lang`, looked up before parsing so that help and errors are in that language too."""
    language = None
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        option, equals, value = argument.partition("=")
        if option == "--lang":
            value = value if equals else "".join(arguments[position + 1 : position + 2])
            language = value if value in i18n.LANGUAGES else language
    return language


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 done; 1 the work failed; 2 the input was wrong; 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Poems must print under LANG=C too; what such a terminal makes of them is for `doctor` to say.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        i18n.use(_language_in(arguments))
        code = _run_verb(arguments)
        sys.stdout.flush()
        return code
    except PoemError as error:
        _print_error(error)
        return 1 if isinstance(error, WorkError) else 2
    except KeyboardInterrupt:
        print(f"\npoemcore: {_('interrupted')}", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _stdout_has_gone():
            return 1
        return _print_failure(error)


def _run_verb(arguments: Sequence[str]) -> int:
    try:
        args = build_parser().parse_args(arguments)
    except SystemExit:
        return 0  # after --help or --version; errors raise PoemError
    return int(args.run(args))


def _stdout_has_gone() -> bool:
    """Whether the reader of our stdout (head, less) has closed it. Then stdout becomes /dev/null."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return False  # no file at all
    poll = select.poll()
    poll.register(descriptor, 0)
    if not any(event & (select.POLLERR | select.POLLHUP) for _fd, event in poll.poll(0)):
        return False
    # Python would complain again when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return True


def _print_error(error: PoemError) -> None:
    where = f"{plain(error.where)}: " if error.where else ""
    print(f"poemcore: {where}{plain(error.message, keep_newlines=True)}", file=sys.stderr)
    if error.hint:
        print(plain(error.hint, keep_newlines=True), file=sys.stderr)


def _print_failure(error: Exception) -> int:
    """Say what the system refused us, or that this is a fault of ours and where its traceback is kept; return 1."""
    import tempfile
    import traceback

    report = "".join(traceback.format_exception(error))
    if os.environ.get("POEMTUI_DEBUG"):
        print(plain(report, keep_newlines=True), file=sys.stderr)
    if isinstance(error, OSError) and error.strerror:
        where = error.filename if isinstance(error.filename, str) else ""
        _print_error(PoemError(error.strerror, where=where))
        return 1
    message = _("internal error: {kind}: {problem}").format(kind=type(error).__name__, problem=error)
    hint = _("This is a fault of poemtui. With POEMTUI_DEBUG=1 it shows where.")
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="poemtui-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(f"poemtui {__version__}, Python {sys.version}\n{report}")
        hint = _("This is a fault of poemtui. Please report it with {path}").format(path=file.name)
    except OSError:
        pass  # no room for a report: the message alone
    _print_error(PoemError(message, hint=hint))
    return 1
