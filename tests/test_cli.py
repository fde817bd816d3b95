"""What every verb has in common, tried with a verb that does as it is told."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core import __version__, cli
from core.cli import main, print_json
from core.errors import PoemError

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[[argparse.Namespace], int]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Make `poemcore chant` the only verb."""

    def install(run: Run) -> None:
        def add(subparsers: Any) -> None:
            parser = cli.add_verb(subparsers, "chant", "say a line", run)
            parser.add_argument("line", nargs="?", default="")
            parser.add_argument("--count", type=int, default=1)
            cli.add_runs_dir(parser)

        module = ModuleType("core.verbs.chant")
        module.__dict__["add"] = add
        monkeypatch.setitem(sys.modules, "core.verbs.chant", module)
        monkeypatch.setattr(cli, "VERBS", ("chant",))

    install(lambda args: 0)
    return install


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where reports of internal errors go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def raises(error: BaseException) -> Run:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_a_verb_gets_its_arguments_and_gives_the_exit_code(verb: Any) -> None:
    seen = []
    verb(lambda args: seen.append((args.line, args.count, args.json, args.runs_dir)) or 1)
    assert main(["chant", "床前看月光", "--count", "3", "--json", "--runs-dir", "R"]) == 1
    assert seen == [("床前看月光", 3, True, "R")]


@pytest.mark.parametrize(("variable", "expected"), [(None, "runs"), ("", "runs"), ("/elsewhere", "/elsewhere")])
def test_runs_dir_default(variable: str | None, expected: str, verb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable is not None:
        monkeypatch.setenv("POEMTUI_RUNS", variable)
    seen = []
    verb(lambda args: seen.append(args.runs_dir) or 0)
    assert main(["chant"]) == 0
    assert seen == [expected]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "poemcore: the following arguments are required: VERB\nTry: poemcore --help\n",
        ),
        (["chat"], "poemcore: chat is no VERB\nDid you mean chant?\n"),
        (["zzz"], "poemcore: zzz is no VERB\nChoose one of: chant\n"),
        (["chant", "--cuont", "2"], "poemcore: unrecognized arguments: --cuont\nDid you mean --count?\n"),
        (["chant", "--cou=2"], "poemcore: unrecognized arguments: --cou=2\nDid you mean --count?\n"),
        (["chant", "x", "-z"], "poemcore: unrecognized arguments: -z\nTry: poemcore chant --help\n"),
        (["chant", "x", "count"], "poemcore: unrecognized arguments: count\nTry: poemcore chant --help\n"),
        (
            ["chant", "--count", "two"],
            "poemcore: argument --count: invalid int value: 'two'\nTry: poemcore chant --help\n",
        ),
        (
            ["chant", "--count"],
            "poemcore: argument --count: expected one argument\nTry: poemcore chant --help\n",
        ),
        (["chant", "--lang", "zh-Hant "], "poemcore: zh-Hant  is no --lang\nDid you mean zh-Hant?\n"),
        (["ch\x1b[2Jant"], "poemcore: ch␛[2Jant is no VERB\nDid you mean chant?\n"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize("arguments", [["--version"], ["chant", "--help"], ["--help"]])
def test_help_and_version(arguments: list[str], verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(f"poemtui {__version__}" if arguments == ["--version"] else "usage: poemcore")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PoemError("the file is empty"), "poemcore: the file is empty\n"),
        (
            PoemError("row 3 has no output", hint="Add one.", where="poems.json:17"),
            "poemcore: poems.json:17: row 3 has no output\nAdd one.\n",
        ),
        (
            PoemError("two\nproblems \x1b]0;x\x07", hint="a\nb", where="a\nb.toml"),
            "poemcore: a␊b.toml: two\nproblems ␛]0;x␇\na\nb\n",
        ),
        (PoemError("lone \udcff"), "poemcore: lone \\u{DCFF}\n"),
    ],
)
def test_an_input_error_is_one_message(
    error: PoemError, message: str, verb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raises(error))
    assert main(["chant", "--json"]) == 2
    assert capsys.readouterr() == ("", message)


def test_interrupted(verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(KeyboardInterrupt()))
    assert main(["chant"]) == 130
    assert capsys.readouterr() == ("", "\npoemcore: interrupted\n")


def test_what_the_system_refuses_is_one_message(verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(OSError(28, "No space left on device", "runs/x\ny")))
    assert main(["chant"]) == 1
    assert capsys.readouterr() == ("", "poemcore: runs/x␊y: No space left on device\n")


def test_a_fault_of_ours_is_reported_in_a_file(verb: Any, reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(ZeroDivisionError("no \x1b tokens")))
    assert main(["chant"]) == 1
    (report,) = reports.iterdir()
    assert capsys.readouterr() == (
        "",
        "poemcore: internal error: ZeroDivisionError: no ␛ tokens\n"
        f"This is a fault of poemtui. Please report it with {report}\n",
    )
    text = report.read_text(encoding="utf-8")
    assert text.startswith(f"poemtui {__version__}, Python {sys.version}\nTraceback")
    assert "in _run_verb" in text


def test_a_fault_of_ours_is_shown_on_request(
    verb: Any, reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POEMTUI_DEBUG", "1")
    verb(raises(ZeroDivisionError("none")))
    assert main(["chant"]) == 1
    assert capsys.readouterr().err.startswith("Traceback (most recent call last):\n")


def test_a_report_that_cannot_be_written_leaves_the_message(
    verb: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    verb(raises(ValueError("odd")))
    assert main(["chant"]) == 1
    assert capsys.readouterr().err == (
        "poemcore: internal error: ValueError: odd\nThis is a fault of poemtui. With POEMTUI_DEBUG=1 it shows where.\n"
    )


def test_a_broken_pipe_to_a_child_is_not_taken_for_a_closed_stdout(
    verb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raises(BrokenPipeError(32, "Broken pipe")))
    assert main(["chant"]) == 1
    assert capsys.readouterr().err == "poemcore: Broken pipe\n"


def test_a_reader_that_has_gone_is_no_error_message() -> None:
    """As in `poemcore VERB | head -1`: nothing on stderr, neither from us nor from Python's last flush."""
    code = (
        "import sys\nfrom types import ModuleType\nfrom core import cli\n"
        "module = ModuleType('core.verbs.chant')\n"
        "def run(args):\n    for _ in range(100_000):\n        print('白日依山盡')\n    return 0\n"
        "module.add = lambda subparsers: cli.add_verb(subparsers, 'chant', 'say', run)\n"
        "sys.modules['core.verbs.chant'] = module\ncli.VERBS = ('chant',)\nsys.exit(cli.main(['chant']))\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, encoding="utf-8", cwd=ROOT
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_poems_print_whatever_the_locale() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from core.cli import main; sys.exit(main(['\\u5c71\\udcff']))"],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert done.returncode == 2
    assert "山\\u{DCFF}" in done.stderr.decode("utf-8")


@pytest.mark.parametrize(
    ("arguments", "language"),
    [
        (["--lang", "zh-Hans", "chant"], "zh-Hans"),
        (["chant", "--lang", "zh-Hans"], "zh-Hans"),
        (["--lang=zh-Hant", "chant"], "zh-Hant"),
        (["chant", "--lang=zh-Hant", "x"], "zh-Hant"),
        (["--lang", "zh-Hans", "chant", "--lang", "en"], "en"),
        (["chant", "--", "--lang=zh-Hans"], None),
        (["chant", "x--lang=zh-Hans"], None),
        (["chant", "--lang"], None),
        (["chant", "--lang=fr"], None),
        ([], None),
    ],
)
def test_language_is_found_before_and_after_the_verb(arguments: list[str], language: str | None) -> None:
    assert cli._language_in(arguments) == language


@pytest.mark.parametrize("arguments", [["--lang", "zh-Hans", "chant"], ["chant", "--lang=zh-Hans"]])
def test_lang_is_accepted_before_and_after_the_verb(arguments: list[str], verb: Any) -> None:
    verb(lambda args: 0 if os.environ["LANGUAGE"] == "zh_Hans" else 1)  # what a child process will speak
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"loss": 1.5, "text": "山"}, '{"loss": 1.5, "text": "山"}'),
        (
            {"loss": float("nan"), "all": [float("inf"), (1, -float("inf"))]},
            '{"loss": null, "all": [null, [1, null]]}',
        ),
        ({"esc": "\x1b", "csi": "\x9b", "bidi": "\u202e"}, '{"esc": "\\u001b", "csi": "\\u009b", "bidi": "\\u202e"}'),
        ({"\x7f": "\u3000\U000e0041"}, '{"\\u007f": "\\u3000\\udb40\\udc41"}'),
    ],
)
def test_print_json(document: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_json(document)
    printed = capsys.readouterr().out
    assert printed == line + "\n"
    assert list(json.loads(printed)) == list(document)
