"""The model process alone, on its pipes: what is no request, memory that gives out, and the end of the app."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.serve_protocol import parse_line, to_line
from core.serve_work import Warm


class Served:
    """The process and what it says."""

    def __init__(self, runs_dir: Path) -> None:
        command = [sys.executable, "-P", "-m", "core.serve", str(runs_dir)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def say(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next answer that is no state."""
        assert self.process.stdout is not None
        while True:
            message: dict[str, Any] = json.loads(self.process.stdout.readline())
            if "state" not in message:
                return message


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.process.kill()
    served.process.wait()
    for pipe in (served.process.stdin, served.process.stdout):
        if pipe is not None:
            pipe.close()


def test_what_is_no_request_is_refused_and_the_next_is_met(served: Served) -> None:
    for line in (b"\n", b"garbage\n", b"[1]\n", b'{"id": 3, "kind": "dance"}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"):
        served.say(line)
        answer = served.answer()
        assert answer["is"] == "error"
        assert answer["message"] == "this is no request"
    served.say(b'{"id": 4, "kind": "plan"}\n')  # its fields are missing
    answer = served.answer()
    assert (answer["id"], answer["is"]) == (4, "error")
    served.say(b'{"id": 5, "kind": "plan", "profile": "", "base_dir": "/nowhere"}\n')
    assert served.answer()["where"] == "/nowhere"


def test_the_end_of_the_app_is_its_end(served: Served) -> None:
    assert served.process.stdin is not None
    served.process.stdin.close()
    assert served.process.wait(timeout=60) == 0


def test_a_line_holds_any_text() -> None:
    message = {"text": "\x00\x1b\n\r\u2028\ud800夜", "n": 1}
    line = to_line(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert line.isascii()
    assert parse_line(line) == message


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_where_memory_gives_out_everything_is_let_go(tmp_path: Path, error: Exception) -> None:
    warm = Warm(tmp_path, lambda **state: None)
    warm._model = object()
    said = warm.judge(error)
    assert said.message == "there wasn't enough memory for that"
    assert warm._model is None


def test_any_other_accident_is_told_by_its_name(tmp_path: Path) -> None:
    said = Warm(tmp_path, lambda **state: None).judge(KeyError("\x1b[31mrow"))
    assert said.message == "the model process failed: KeyError: '\\x1b[31mrow'"
