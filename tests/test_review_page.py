"""docs/review.md names every kind of problem, with its tone, and every strength and limit."""

from __future__ import annotations

import re
from pathlib import Path

from core.audit.kinds import EXCLUDABLE, KINDS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "review.md").read_text(encoding="utf-8")


def part(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_kind_of_problem_stands_there_in_order() -> None:
    rows = re.findall(r"^\| `([a-z-]+)`( °)? \| (\w+) \|", part("Problems"), re.MULTILINE)
    assert [(kind, tone) for kind, _mark, tone in rows] == [(kind.name, kind.tone) for kind in KINDS.values()]
    assert tuple(kind for kind, mark, _tone in rows if not mark) == EXCLUDABLE


def test_every_strength_and_limit_stands_there() -> None:
    code = "".join(
        (ROOT / "core" / "review" / f"{name}.py").read_text("utf-8") for name in ("value_rows", "value_lessons")
    )
    ids = set(re.findall(r'\b(?:strength|limit)\(\s*"([a-z-]+)"', code)) | set(re.findall(r'"(mixed-scripts)"', code))
    rows = re.findall(r"^\| (`.*?`) \| (?:strength|limit)", part("Value"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == ids
