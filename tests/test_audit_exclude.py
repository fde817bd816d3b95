"""Rows left out of training by `data.exclude`, and cleaned copies of a file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.audit.clean import write_clean
from core.audit.exclusion import excluded_rows
from core.base_folder import resolve_base
from core.data.row import SAMPLE
from core.data.rows import RowFile, read_rows
from core.encoding.encode import name_rows
from core.errors import PoemError
from core.model.load import load_tokenizer
from core.profile.document import check_text, load_profile
from core.profile.schema import DataKeys, Profile
from core.training.prepare import prepare

POEMS = [
    ("春眠不覺曉，處處聞啼鳥。", "夜來風雨聲，花落知多少。"),
    ("白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。"),
    ("春眠不覺曉，處處聞啼鳥。", "夜來風雨聲，花落知多少。"),
    ("牀前明月光，疑是地上霜。", "舉頭望□月，低頭思故鄉。"),
    ("千山鳥飛絕，萬徑人蹤滅。", "孤舟簑笠翁，獨釣寒江雪。"),
    ("春眠不觉晓，处处闻啼鸟。", "夜来风雨声，花落知多少。"),
    ("白日依山盡，黃河入海流。", "欲窮千里目，更上一層天。"),
]


@pytest.fixture
def file(tmp_path: Path) -> RowFile:
    """The poems as rows 0 to 6, with a bad row 7 at the end."""
    path = tmp_path / "poems.jsonl"
    rows = [{"input": given, "output": rest, "n": number} for number, (given, rest) in enumerate(POEMS)]
    lines = [json.dumps(row, ensure_ascii=False) for row in [*rows, {"input": "x", "output": ""}]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_rows(path, on_bad_row="skip")


def refused(deed: Callable[[], Any]) -> tuple[str, str, str]:
    with pytest.raises(PoemError) as caught:
        deed()
    return caught.value.where, caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        ([], {}),
        ([4, 0], {0: "0", 4: "4"}),
        (["2-4"], {2: "2-4", 3: "2-4", 4: "2-4"}),
        (["3-3", 3], {3: "3-3"}),
        ([7], {}),  # it can't be used anyway
        (["5-7"], {5: "5-7", 6: "5-7"}),
        (["duplicate"], {2: "duplicate"}),
        (["near-duplicate"], {5: "near-duplicate", 6: "near-duplicate"}),
        (["missing-character", 2, "duplicate"], {2: "2", 3: "missing-character"}),
        (["broken-rhyme"], {6: "broken-rhyme"}),
        (["mixed-script", "same-input"], {5: "mixed-script", 6: "same-input"}),
        (["bracket"], {}),
    ],
)
def test_which_rows_are_left_out(file: RowFile, exclude: list[int | str], expected: dict[int, str]) -> None:
    found = excluded_rows(file, exclude)
    assert found == expected
    assert list(found) == sorted(found)


def test_what_cannot_be_left_out(file: RowFile) -> None:
    where = "data.exclude"
    beyond = "data.exclude names row {}, but the last row of the file is 7"
    assert refused(lambda: excluded_rows(file, [8])) == (where, beyond.format(8), "Rows count from 0.")
    assert refused(lambda: excluded_rows(file, ["6-1008"])) == (where, beyond.format("1,008"), "Rows count from 0.")
    assert refused(lambda: excluded_rows(file, ["0-6"])) == (
        where, "data.exclude leaves no row of 7", "Take something out of it.",
    )  # fmt: skip
    assert excluded_rows(file, ["0-5"]).keys() == {0, 1, 2, 3, 4, 5}
    message, hint = refused(lambda: excluded_rows(file, ["duplicates"]))[1:]
    assert message == 'data.exclude[0] can\'t be "duplicates"'
    assert hint.startswith('Did you mean "duplicate"? It may be: a list of row numbers, ranges such as "100-120", ')


def test_the_hints_of_the_key() -> None:
    def hint(value: str) -> str:
        profile, (problem,) = check_text(f"data.exclude = {value}")
        assert profile is None
        return problem.hint

    assert hint('"duplicate"') == 'Write exclude = ["duplicate"].'
    assert hint('["17"]') == "Leave out the quotes."
    assert hint('["5-4"]') == 'A range is written "100-120".'
    assert hint('["near_duplicate"]').startswith('Did you mean "near-duplicate"?')
    profile = load_profile("tang-tiny-cpu", overrides=['data.exclude=[3, "0-1", "duplicate"]'])
    assert profile.data.exclude == (3, "0-1", "duplicate")


def test_excluded_rows_neither_train_nor_are_evaluated() -> None:
    tokenizer = load_tokenizer(resolve_base("builtin:tang-tiny"))
    all_rows = prepare(Profile(data=DataKeys(eval_rows=40)), tokenizer)
    first_held_out, first_trained = all_rows.split.eval[0], all_rows.split.train[0]
    data = DataKeys(eval_rows=40, exclude=(first_held_out, first_trained, "unknown-character"))
    prepared = prepare(Profile(data=data), tokenizer)
    gone = {first_held_out, first_trained, 246, 249, 278, 294}
    split = prepared.split
    assert gone.isdisjoint((*split.train, *split.eval, *split.kin))
    assert len(split.train) + len(split.eval) + len(split.kin) == 400 - len(gone)
    assert len(split.eval) == len(prepared.held_out) == 40
    assert {row.number for row in prepared.train_rows} <= set(split.train)
    (note,) = (note for note in prepared.notes if "data.exclude" in note)
    assert note.startswith("6 rows left out by data.exclude (unknown-character 4, by number 2): ")
    assert note.endswith(name_rows(sorted(gone)))


def test_an_excluded_poem_cannot_be_held_out_by_name() -> None:
    tokenizer = load_tokenizer(resolve_base("builtin:tang-tiny"))
    number = next(row.number for row in read_rows(SAMPLE).rows if "白日依山盡" in row.input)
    data = DataKeys(eval_rows=1, hold_out=("白日依山盡",))
    assert prepare(Profile(data=data), tokenizer).split.eval == (number,)
    data = DataKeys(eval_rows=1, hold_out=("白日依山盡",), exclude=(number,))
    assert number not in prepare(Profile(data=data), tokenizer).split.eval


# cleaned files


@pytest.mark.parametrize("name", ["clean.jsonl", "clean.ndjson", "clean.json", "CLEAN.JSON"])
def test_a_clean_copy_has_the_other_rows_as_they_were(file: RowFile, tmp_path: Path, name: str) -> None:
    before = file.path.read_bytes()
    assert write_clean(file, {2, 5, 6}, tmp_path / name) == 4
    kept = read_rows(tmp_path / name)
    assert kept.format == ("json" if name.lower().endswith(".json") else "jsonl")
    assert [(row.input, row.output, row.extra) for row in kept.rows] == [
        (*POEMS[number], {"n": str(number)}) for number in (0, 1, 3, 4)
    ]
    assert file.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["poems.jsonl", name])


def test_every_column_of_a_table_and_every_value_of_json_stay(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("input,output,a b\n甲,乙丙丁,\n子,丑寅卯,12345678901234567890\n", encoding="utf-8")
    write_clean(read_rows(table), [0], tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8")) == [
        {"input": "子", "output": "丑寅卯", "a b": "12345678901234567890"}
    ]
    text = '{"output": "甲", "x": [1.10, null],\n "y": 12345678901234567890123}'
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(f"[{text}, {text}]".encode()))
    write_clean(read_rows(tmp_path / "a.json.gz"), [0], tmp_path / "b.json")
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == "[\n" + text.replace("\n", "") + "\n]\n"


def test_no_file_is_ever_written_over(file: RowFile, tmp_path: Path) -> None:
    taken = tmp_path / "taken.json"
    taken.write_text("mine", encoding="utf-8")
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    for target in (taken, tmp_path / "link.json", file.path):
        assert refused(lambda target=target: write_clean(file, {2}, target)) == (
            str(target), "there is a file of that name already", "Choose another name.",
        )  # fmt: skip
    assert taken.read_text(encoding="utf-8") == "mine"
    assert file.path.read_text(encoding="utf-8").count("\n") == 8


def test_what_cannot_be_written(file: RowFile, tmp_path: Path) -> None:
    def message(numbers: set[int], name: str) -> str:
        return refused(lambda: write_clean(file, numbers, tmp_path / name))[1]

    before = sorted(tmp_path.iterdir())
    assert message({0}, "clean.csv") == message({0}, "clean") == "a cleaned file is JSON or JSONL"
    assert message({0}, "clean.json.gz") == "a cleaned file is JSON or JSONL"
    assert message(set(range(7)), "clean.json") == "no row is left to write"
    assert message({0}, "no/such/clean.json").startswith("can't write the file: ")
    with file.path.open("a", encoding="utf-8") as more:
        more.write('{"output": "新"}\n')
    assert message({0}, "clean.json") == "the file has changed since it was opened"
    assert sorted(tmp_path.iterdir()) == before
