"""The rules of the house that a parser can see: nothing is executed or unpickled, every text names its encoding."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for room in ("core", "tui", "tools") for path in (ROOT / room).rglob("*.py"))
BANNED_NAMES = {"eval", "exec", "__import__"}
BANNED_ATTRIBUTES = {
    ("os", "popen"),
    ("os", "system"),
    ("torch", "load"),
    *((module, name) for module in ("pickle", "dill", "marshal", "joblib") for name in ("load", "loads", "Unpickler")),
}
BANNED_MODULES = {"pickle", "dill", "marshal", "shelve", "joblib", "cloudpickle"}
BANNED_KEYWORDS = {("shell", True), ("trust_remote_code", True), ("weights_only", False)}
# Collectives that carry objects pickle them on one process and unpickle them on another.
OBJECT_COLLECTIVES = {
    "all_gather_object",
    "broadcast_object_list",
    "gather_object",
    "recv_object_list",
    "scatter_object_list",
    "send_object_list",
}
BANNED_STEMS = {"utils", "util", "helpers", "common", "misc", "manager"}
BINARY_BY_DEFAULT = {"gzip", "bz2", "lzma"}
NOT_FILES = {"os", "webbrowser", "zipfile", "tarfile", "urllib", "wave"}
MAX_LINES = 400


def dangers(tree: ast.AST) -> Iterator[str]:
    """Whatever could run what a file holds, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in BANNED_NAMES:
                yield f"{node.lineno}: {called.id}()"
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in BANNED_KEYWORDS:
                    yield f"{node.lineno}: {keyword.arg}={keyword.value.value}"
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and (node.value.id, node.attr) in BANNED_ATTRIBUTES:
                yield f"{node.lineno}: {node.value.id}.{node.attr}"
            if node.attr in OBJECT_COLLECTIVES:
                yield f"{node.lineno}: {node.attr}"
        elif isinstance(node, ast.Import):
            yield from (f"{node.lineno}: import {a.name}" for a in node.names if a.name in BANNED_MODULES)
        elif isinstance(node, ast.ImportFrom):
            if node.module in BANNED_MODULES:
                yield f"{node.lineno}: from {node.module} import"
            yield from (
                f"{node.lineno}: from {node.module} import {a.name}"
                for a in node.names
                if (node.module, a.name) in BANNED_ATTRIBUTES or a.name in OBJECT_COLLECTIVES
            )


def unnamed_encodings(tree: ast.AST) -> Iterator[str]:
    """Every call that opens, reads or writes text without naming its encoding, with its line."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(k.arg in ("encoding", None) for k in node.keywords):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        module = owner.id if isinstance(owner, ast.Name) else ""
        if name == "read_text" and node.args:
            continue  # Path.read_text(encoding)
        if name in ("read_text", "write_text"):
            yield f"{node.lineno}: {name}"
        elif name in ("open", "fdopen") and (name == "fdopen" or module not in NOT_FILES):
            at = 1 if owner is None or module in {"io", "os", *BINARY_BY_DEFAULT} else 0
            mode = _mode(node, at, "rb" if module in BINARY_BY_DEFAULT else "r")
            if "b" not in mode and not (module in BINARY_BY_DEFAULT and "t" not in mode):
                yield f"{node.lineno}: {name}"
        elif name in ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"):
            if "b" not in _mode(node, 0, "w+b"):
                yield f"{node.lineno}: {name}"
        elif any(k.arg in ("text", "universal_newlines") and _is_true(k.value) for k in node.keywords):
            yield f"{node.lineno}: {name}(text=True)"


def _mode(call: ast.Call, at: int, default: str) -> str:
    given = next((k.value for k in call.keywords if k.arg == "mode"), call.args[at] if len(call.args) > at else None)
    if given is None:
        return default
    return str(given.value) if isinstance(given, ast.Constant) else ""


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("eval('1')", ["1: eval()"]),
        ("model.eval()", []),
        ("exec(text)", ["1: exec()"]),
        ("torch.load(path, weights_only=False)", ["1: weights_only=False", "1: torch.load"]),
        ("import pickle", ["1: import pickle"]),
        ("from pickle import loads", ["1: from pickle import", "1: from pickle import loads"]),
        ("from torch import load", ["1: from torch import load"]),
        ("run(command, shell=True)", ["1: shell=True"]),
        ("run(command, shell=False)", []),
        ("from_pretrained(path, trust_remote_code=True)", ["1: trust_remote_code=True"]),
        ("from_pretrained(path, trust_remote_code=False)", []),
        ("os.system('ls')", ["1: os.system"]),
        ("torch.distributed.gather_object(x)", ["1: gather_object"]),
        ("from accelerate.utils import gather_object", ["1: from accelerate.utils import gather_object"]),
    ],
)
def test_the_danger_finder(code: str, found: list[str]) -> None:
    assert sorted(dangers(ast.parse(code))) == sorted(found)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("open(p)", ["1: open"]),
        ("open(p, 'rb')", []),
        ("open(p, mode='ab')", []),
        ("open(p, encoding='utf-8')", []),
        ("open(p, mode)", ["1: open"]),
        ("p.open()", ["1: open"]),
        ("p.open('wb')", []),
        ("p.open('w', encoding='utf-8')", []),
        ("gzip.open(p)", []),
        ("gzip.open(p, 'rt')", ["1: open"]),
        ("os.open(p, flags)", []),
        ("os.fdopen(fd, 'wb')", []),
        ("os.fdopen(fd)", ["1: fdopen"]),
        ("p.read_text()", ["1: read_text"]),
        ("p.read_text('utf-8')", []),
        ("p.write_text(text)", ["1: write_text"]),
        ("NamedTemporaryFile()", []),
        ("NamedTemporaryFile('w')", ["1: NamedTemporaryFile"]),
        ("run(command, text=True)", ["1: run(text=True)"]),
        ("run(command, text=True, encoding='utf-8')", []),
    ],
)
def test_the_encoding_finder(code: str, found: list[str]) -> None:
    assert list(unnamed_encodings(ast.parse(code))) == found


def _found(finder: object) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{found}"
        for path in SOURCES
        for found in finder(ast.parse(path.read_text(encoding="utf-8")))  # type: ignore[operator]
    ]


def test_nothing_is_executed_or_unpickled() -> None:
    assert len(SOURCES) > 10
    assert _found(dangers) == []


def test_every_text_file_names_its_encoding() -> None:
    assert _found(unnamed_encodings) == []


def test_files_are_short_enough_to_read() -> None:
    paths = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_no_module_is_named_after_nothing() -> None:
    assert [str(path.relative_to(ROOT)) for path in SOURCES if path.stem in BANNED_STEMS] == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_ignores_no_source_file() -> None:
    done = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "core", "tui", "tests", "tools", "profiles"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert [name for name in done.stdout.splitlines() if "__pycache__" not in name] == []
