"""The model process on its pipes: whatever comes in is answered, and it never outlives who started it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.serve_protocol import LONGEST_BYTES, parse_line, to_line

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = '\x00\x1b[31m\u2028\u202e\ud800  "\\\n夜'
PROFILE = '[data]\ntemplate = "chatml"\n[generation]\ntemperature = 0.0\n'


class Served:
    """A model process of the test's own."""

    def __init__(self, runs: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.serve", str(runs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def write(self, *lines: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(lines))
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next that isn't a state."""
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            assert line, "the process has ended"
            message = json.loads(line)
            if "state" not in message:
                return dict(message)

    def close(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=20)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path)
    yield found
    found.process.kill()
    found.process.wait()
    for pipe in (found.process.stdin, found.process.stdout):
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


def encode(number: Any, text: str, **others: Any) -> dict[str, Any]:
    row = {"number": 0, "instruction": "", "input": text, "output": "水", "extra": {}}
    return {"id": number, "kind": "encode", "profile": PROFILE, "base_dir": "", "row": row, "epoch": 0, **others}


def test_a_line_carries_any_text() -> None:
    line = to_line({"text": HOSTILE})
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parse_line(line) == {"text": HOSTILE}


@pytest.mark.parametrize("line", [b"", b"\n", b"[1]\n", b"null\n", b"\xff\n", b"{\n", b"[" * 100_000, b"1" * 5_000])
def test_a_line_that_is_no_message(line: bytes) -> None:
    assert parse_line(line) is None


def test_whatever_comes_is_answered_and_the_end_of_input_ends_it(served: Served) -> None:
    wrong: list[tuple[bytes, Any]] = [
        (b"\xff\xfe\n", None),
        (b"[" * 100_000 + b"\n", None),
        (b"\n", None),
        (b'"encode"\n', None),
        (b'{"kind": "encode"}\n', None),
        (b'{"id": [1], "kind": "encode"}\n', [1]),
        (b'{"id": true, "kind": "encode"}\n', True),
        (b'{"id": 1, "kind": "explode"}\n', 1),
        (b'{"id": 2, "kind": ["encode"]}\n', 2),
        (b'{"id": 3}\n', 3),
        (b"garbage\n", None),
        (b"[1]\n", None),
    ]
    for line, number in wrong:
        served.write(line)
        answer = served.answer()
        assert (answer["id"], answer["is"]) == (number, "error")
        assert answer["message"] == "this is no request"
    served.write(b'{"id": 4, "kind": "' + b"x" * (2 * LONGEST_BYTES) + b'"}\n')
    answer = served.answer()
    assert (answer["id"], answer["is"], answer["message"]) == (None, "error", "the request is too long")
    # Nobody has the request that is cancelled: no answer, and no harm.
    served.write(b'{"cancel": 99}\n', b'{"cancel": {}}\n')
    malformed = (
        {"id": 5, "kind": "encode"},
        encode(6, "x", row={"number": 0}),
        encode(7, "x", base_dir=3),
        encode(8, "x", profile=None),
        {"id": 9, "kind": "complete", "request": {"text": 1}},
        {"id": 10, "kind": "plan", "profile": "[data]\nrows = 'many'\n"},
        {"id": 12, "kind": "plan"},
    )
    for message in malformed:
        served.write(to_line(message))
        answer = served.answer()
        assert (answer["id"], answer["is"]) == (message["id"], "error")
        assert answer["message"]
    served.write(to_line({"id": 13, "kind": "plan", "profile": "", "base_dir": "/nowhere"}))
    assert served.answer()["where"] == "/nowhere"
    text = HOSTILE.replace("\ud800", "")
    served.write(to_line(encode(11, text)))
    answer = served.answer()
    assert (answer["id"], answer["is"]) == (11, "part")
    assert text in answer["fields"]["prompt"]
    assert served.answer() == {"id": 11, "is": "done"}
    assert served.close() == 0


def test_the_end_of_the_app_is_its_end_though_nothing_was_asked(served: Served) -> None:
    assert served.close() == 0


def test_requests_of_a_kind_take_one_another_s_place_and_end_once(served: Served) -> None:
    # All of these are there before the first is looked at, or come while it is.
    served.write(*(to_line(encode(number, str(number))) for number in range(1, 21)), to_line(encode(21, "x" * 9)))
    ends: dict[int, str] = {}
    while 21 not in ends:
        answer = served.answer()
        if answer["is"] != "part":
            assert answer["id"] not in ends
            ends[answer["id"]] = answer["is"]
    assert set(ends) == set(range(1, 22))
    assert ends[21] == "done"
    assert sum(end == "superseded" for end in ends.values()) >= 18


def test_who_starts_it_may_die_at_any_moment(served: Served, tmp_path: Path) -> None:
    # 64 poems of up to 200 tokens by the built-in base: much longer than the process is given.
    request = {
        "text": "白日依山盡，",
        "profile": PROFILE + "max_new_tokens = 200\nno_repeat_ngram_size = 2\n",
        "base_dir": "",
        "run": "",
        "with_base": False,
        "count": 64,
        "seed": 1,
        "instruction": None,
        "convert": False,
    }
    served.write(to_line({"id": 1, "kind": "complete", "request": request}))
    assert served.answer()["is"] == "part"
    assert served.close() == 0
    assert served.process.stdout is not None
    assert b'"done"}' not in served.process.stdout.read()
    # While libraries are being loaded, too.
    early = Served(tmp_path)
    early.write(to_line({"id": 1, "kind": "complete", "request": request}))
    assert early.close() == 0
    assert early.process.stdout is not None
    early.process.stdout.close()
