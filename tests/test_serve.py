"""What the model process says where memory gives out or an accident happens; its lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.serve_protocol import parse_line, to_line
from core.serve_work import Warm


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
