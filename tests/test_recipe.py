"""Recipe: a split without leakage, tasks drawn by weight, templates that can't do harm, and draws pinned for ever."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import pytest

from core.data.chance import draw
from core.data.holdout import lines_of
from core.data.recipe import (
    DEFAULT_TASK,
    Example,
    Split,
    Task,
    check_task_template,
    count_eligible,
    eligible_tasks,
    epoch_order,
    make_example,
    split_rows,
    template_columns,
)
from core.data.rows import SAMPLE, Row, read_rows
from core.errors import PoemError


def poem(number: int, text: str, **extra: str) -> Row:
    """A row whose poem is the text, cut after its first line end."""
    cut = text.find("，") + 1
    return Row(number, "續寫", text[:cut], text[cut:], extra)


def poems(count: int) -> list[Row]:
    """Rows without any line in common."""
    return [poem(number, f"甲{number}，乙{number}。丙{number}，丁{number}。") for number in range(count)]


def split(
    rows: Sequence[Row], *, wanted: int | None = None, eval_rows: int = 0, seed: int = 0, **options: object
) -> Split:
    return split_rows(rows, rows_wanted=wanted, eval_rows=eval_rows, seed=seed, **options)  # type: ignore[arg-type]


# --- draws --------------------------------------------------------------------------------------------------------


def test_a_draw_is_the_digest_of_its_parts() -> None:
    digest = hashlib.blake2b("order\x1f7\x1f0\x1f春".encode(), digest_size=8).digest()
    assert draw("order", 7, 0, "春") == int.from_bytes(digest, "big")
    assert draw("order", 7, 0) == 203209244613687102
    assert draw("a", 1, 11) != draw("a", 11, 1)
    assert 0 <= draw("x", "\ud800") < 2**64


def test_epoch_order_is_pinned() -> None:
    assert epoch_order(range(8), seed=1, epoch=0) == (7, 2, 6, 5, 4, 0, 3, 1)
    assert epoch_order(range(8), seed=1, epoch=1) == (6, 2, 7, 3, 0, 1, 5, 4)
    assert epoch_order([7, 6, 5, 4, 3, 2, 1, 0], seed=1, epoch=0) == (7, 2, 6, 5, 4, 0, 3, 1)
    assert epoch_order([], seed=1, epoch=0) == ()


def test_epoch_order_is_a_permutation_that_changes() -> None:
    orders = {epoch_order(range(100), seed=seed, epoch=epoch) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert all(sorted(order) == list(range(100)) for order in orders)


# --- the split ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("白日依山盡，黃河入海流。", {"白日依山盡", "黃河入海流"}),
        ("甲！乙？丙；丁、戊\n己", {"甲", "乙", "丙", "丁", "戊", "己"}),
        ("甲, 乙.\u3000丙。甲，", {"甲", "乙", "丙"}),
        ("甲", {"甲"}),
        ("。，", {"。，"}),
    ],
)
def test_lines_of_a_poem(text: str, lines: set[str]) -> None:
    assert lines_of(text) == lines


def test_without_held_out_rows_all_train_in_file_order() -> None:
    assert split(poems(5)) == Split((0, 1, 2, 3, 4), (), ())


def test_the_parts_are_disjoint_in_file_order_and_by_row_number() -> None:
    rows = [Row(row.number * 10 + 3, "", row.input, row.output, {}) for row in poems(50)]
    found = split(rows, wanted=30, eval_rows=7)
    assert len(found.train) == 30
    assert len(found.eval) == 7
    assert found.kin == ()
    assert list(found.train) == sorted(found.train)
    assert list(found.eval) == sorted(found.eval)
    assert not set(found.train) & set(found.eval)
    assert set(found.train) | set(found.eval) <= {row.number for row in rows}


def test_the_draws_are_by_hash() -> None:
    rows = poems(50)
    ranked = sorted(range(50), key=lambda at: draw("hold out", 3, rows[at].input + rows[at].output))
    found = split(rows, wanted=10, eval_rows=5, seed=3)
    assert found.eval == tuple(sorted(ranked[:5]))
    free = sorted(set(range(50)) - set(found.eval), key=lambda at: draw("train", 3, at))
    assert found.train == tuple(sorted(free[:10]))
    assert found.train != tuple(sorted(set(range(50)) - set(found.eval)))[:10]


def test_held_out_rows_do_not_depend_on_rows_wanted_and_samples_nest() -> None:
    rows = poems(60)
    few, more, all_rows = (split(rows, wanted=wanted, eval_rows=8, seed=5) for wanted in (10, 30, None))
    assert few.eval == more.eval == all_rows.eval
    assert set(few.train) < set(more.train) < set(all_rows.train)
    assert len(all_rows.train) == 52
    assert split(rows, eval_rows=8, seed=6).eval != few.eval


def test_held_out_poems_do_not_depend_on_the_order_of_the_file() -> None:
    rows = poems(40)
    turned = [Row(39 - row.number, "", row.input, row.output, {}) for row in reversed(rows)]
    assert split(turned, eval_rows=6).eval == tuple(sorted(39 - number for number in split(rows, eval_rows=6).eval))


def test_named_poems_are_held_out_first() -> None:
    rows = [*poems(30), poem(30, "白日依山盡，黃河入海流。欲窮千里目，更上一層樓。")]
    found = split(rows, eval_rows=3, hold_out=["白日依山盡"])
    assert 30 in found.eval
    assert len(found.eval) == 3
    assert set(found.eval) - {30} == set(split(rows[:30], eval_rows=2).eval)
    across = split(rows, eval_rows=1, hold_out=["依山盡，黃河"])
    assert across.eval == (30,)
    assert split(rows, eval_rows=1, hold_out=["no such line"]) == split(rows, eval_rows=1)


def test_named_poems_beyond_eval_rows_neither_train_nor_are_evaluated() -> None:
    rows = poems(10)
    assert split(rows, eval_rows=0, hold_out=["甲4", "丁7"]) == Split((0, 1, 2, 3, 5, 6, 8, 9), (), (4, 7))
    found = split(rows, eval_rows=1, hold_out=["甲4", "丁7"])
    assert (found.eval, found.kin) in [((4,), (7,)), ((7,), (4,))]
    assert found.train == (0, 1, 2, 3, 5, 6, 8, 9)


def test_kin_of_a_held_out_poem_do_not_train() -> None:
    held = poem(0, "春一，春二。春三，春四。")
    rows = [
        held,
        poem(1, "春一，秋二。秋三，春四。"),  # two lines in common: kin
        poem(2, "春一，冬二。冬三，冬四。"),  # one line
        poem(3, "春一，春一。春一，夏四。"),  # the same one line, three times
        poem(4, "春一，春二。春三，春四。"),  # the same poem
        poem(5, "春四；春三"),  # an excerpt, punctuated otherwise
        poem(6, "雨二，冬二。冬三，秋三。"),  # kin of a row that is in use, not of the held-out one
    ]
    found = split(rows, eval_rows=1, hold_out=["春一，春二。春三，春四"])
    assert found == Split((2, 3, 6), found.eval, found.kin)
    assert found.eval in ((0,), (4,))
    assert sorted(found.eval + found.kin) == [0, 1, 4, 5]


def test_a_poem_of_one_line_is_kin_of_its_equal_only() -> None:
    rows = [poem(0, "春"), poem(1, "春。"), poem(2, "春，秋。"), poem(3, "秋")]
    found = split(rows, eval_rows=1, hold_out=["春。"])
    assert (found.train, found.eval, found.kin) == ((2, 3), (1,), (0,))


def test_kin_are_passed_over_when_rows_are_held_out() -> None:
    """Of ten poems in five pairs, five can be held out, and no more."""
    rows = [poem(number, f"甲{number // 2}，乙{number // 2}。丙{number}，丁{number}。") for number in range(10)]
    found = split(rows, eval_rows=4)
    assert len(found.eval) == len(found.kin) == 4
    assert {number // 2 for number in found.eval} == {number // 2 for number in found.kin}
    assert len(found.train) == 2
    with pytest.raises(PoemError, match="6 rows shall be held out, but only 5 of the 10 can be") as caught:
        split(rows, eval_rows=6)
    assert caught.value.where == "data.eval_rows"


@pytest.mark.parametrize("seed", range(5))
def test_nothing_leaks_where_lines_are_shared_at_random(seed: int) -> None:
    rows = [
        poem(number, "，".join(f"行{draw('line', seed, number, line) % 60}" for line in range(4)))
        for number in range(300)
    ]
    found = split(rows, eval_rows=20, seed=seed, hold_out=["行1，"])
    lines = {row.number: lines_of(row.input + row.output) for row in rows}
    held = set(found.eval) | {row.number for row in rows if "行1，" in row.input + row.output}
    assert not held & set(found.train)
    assert all(len(lines[one] & lines[other]) < 2 for one in held for other in found.train)
    assert all(len(lines[one] & lines[other]) < 2 for one, other in combinations(found.eval, 2))
    for number in set(found.kin) - held:
        assert any(len(lines[number] & lines[other]) >= 2 for other in held)
    assert sorted(found.train + found.eval + found.kin) == list(range(300))


def test_the_sample_keeps_its_most_famous_poem_out() -> None:
    found = split(read_rows(SAMPLE).rows, eval_rows=40, seed=0, hold_out=["白日依山盡"])
    assert 139 in found.eval
    assert (len(found.train), len(found.eval), found.kin) == (360, 40, ())


@pytest.mark.parametrize(
    ("options", "message", "where"),
    [
        ({"wanted": 9, "eval_rows": 2}, "9 rows shall train, but only 8 can: of 10 rows, 2 are held out", "data.rows"),
        ({"wanted": 0}, "at least one row must train", "data.rows"),
        ({"eval_rows": 10}, "nothing is left to train on: of 10 rows, 10 are held out", "data.rows"),
        ({"eval_rows": 11}, "11 rows shall be held out, but only 10 of the 10 can be", "data.eval_rows"),
        ({"eval_rows": -1}, "below 0", "data.eval_rows"),
        ({"hold_out": ["甲"]}, "nothing is left to train on", "data.rows"),
        ({"hold_out": ["春", " "]}, "blank", "data.hold_out"),
    ],
)
def test_impossible_wishes(options: dict[str, object], message: str, where: str) -> None:
    with pytest.raises(PoemError) as caught:
        split(poems(10), **options)  # type: ignore[arg-type]
    assert message in caught.value.message
    assert caught.value.where == where


def test_no_rows_at_all() -> None:
    with pytest.raises(PoemError, match="nothing is left to train on: of 0 rows"):
        split([])


# --- templates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "續寫", "{author}", "{author}：{title}{author}", "{{}}", "{{{a}}}", "{first line}", "{作者}"]
)
def test_good_templates(text: str) -> None:
    assert check_task_template(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "don't match"),
        ("}", "don't match"),
        ("{author", "don't match"),
        ("{a{b}}", "don't match"),
        ("{}", "empty braces"),
        ("{ }", "empty braces"),
        ("{output.__class__}", "not “output.__class__”"),
        ("{output[0]}", "not “output[0]”"),
        ("{author!r}", "not “author”"),
        ("{author:>1000000000}", "not “author”"),
        ("{author:{title}}", "not “author”"),
        ("{ author}", "not “ author”"),
    ],
)
def test_hostile_templates_are_refused(text: str, problem: str) -> None:
    found = check_task_template(text)
    assert found is not None
    assert problem in found
    task = Task("t", text, None, None, 1.0)
    with pytest.raises(PoemError):
        make_example(ROW, [task], system_prompt="", seed=0, epoch=0)


def test_columns_of_a_template() -> None:
    assert template_columns("{author}《{title}》{{x}}{author}") == ("author", "title")


# --- tasks and examples -------------------------------------------------------------------------------------------

ROW = Row(4, "續寫", "白日依山盡，", "黃河入海流。", {"author": "王之渙", "title": " ", "input": "hidden"})


def test_the_default_task_is_the_row_as_it_stands() -> None:
    wanted = Example(4, "row", "你是詩人", "續寫", "白日依山盡，", "黃河入海流。")
    assert make_example(ROW, [DEFAULT_TASK], system_prompt="你是詩人", seed=0, epoch=0) == wanted
    assert make_example(ROW, [], system_prompt="你是詩人", seed=9, epoch=9) == wanted


def test_templates_take_fields_and_other_columns() -> None:
    task = Task("style", "模仿{author}：{instruction}{{}}", "{output}|{input}", "{input}{output}", 1.0)
    assert make_example(ROW, [task], system_prompt="", seed=0, epoch=0) == Example(
        4, "style", "", "模仿王之渙：續寫{}", "黃河入海流。|白日依山盡，", "白日依山盡，黃河入海流。"
    )


def test_text_of_a_row_is_never_a_template() -> None:
    row = Row(0, "{author}", "{input}", "{x", {"author": "{output}"})
    example = make_example(row, [Task("t", "{author}{{", None, None, 1.0)], system_prompt="{x}", seed=0, epoch=0)
    assert example == Example(0, "t", "{x}", "{output}{", "{input}", "{x")


def test_tasks_need_their_columns_filled_and_an_output() -> None:
    tasks = [
        Task("plain", "續", None, None, 1.0),
        Task("author", "{author}", None, None, 1.0),
        Task("blank", None, "{title}", None, 1.0),
        Task("missing", "{author}{explanation}", None, None, 1.0),
        Task("missing-out", None, None, "{explanation}", 1.0),
        Task("blank-out", None, None, " \n", 1.0),
    ]
    assert [task.name for task in eligible_tasks(ROW, tasks)] == ["plain", "author"]
    assert eligible_tasks(ROW, []) == (DEFAULT_TASK,)
    other = Row(5, "", "", "x", {"explanation": "e", "author": "a"})
    assert count_eligible([ROW, other], tasks) == {
        "plain": 2,
        "author": 2,
        "blank": 0,
        "missing": 1,
        "missing-out": 1,
        "blank-out": 0,
    }
    assert count_eligible([ROW, other], []) == {"row": 2}


def test_a_row_without_an_eligible_task_is_named() -> None:
    for task in (Task("explain", "{explanation}", None, None, 1.0), Task("explain", None, None, None, 0.0)):
        with pytest.raises(PoemError) as caught:
            make_example(ROW, [task], system_prompt="", seed=0, epoch=0)
        assert caught.value.where == "row 4"
        assert "“explain”" in caught.value.hint


def test_the_choice_is_pinned_and_pure() -> None:
    tasks = [Task("a", None, None, None, 1.0), Task("b", None, None, None, 1.0)]
    names = [make_example(ROW, tasks, system_prompt="", seed=1, epoch=epoch).task for epoch in range(12)]
    assert "".join(names) == "abaaaaaaabab"
    halves = ["ab"[draw("task", 1, epoch, 4) >= 2**63] for epoch in range(12)]
    assert names == halves


def test_the_choice_follows_the_weights() -> None:
    tasks = [
        Task("never", None, None, None, 0.0),
        Task("often", None, None, None, 0.6),
        Task("style", "{author}", None, None, 0.2),
        Task("absent", "{explanation}", None, None, 5.0),
    ]
    counts = Counter(
        make_example(Row(number, "", "", "x", {"author": "a"}), tasks, system_prompt="", seed=2, epoch=0).task
        for number in range(4000)
    )
    assert set(counts) == {"often", "style"}
    assert abs(counts["style"] - 1000) < 110  # four standard deviations of a binomial with p = 1/4


def test_the_choice_differs_between_rows_seeds_and_epochs() -> None:
    tasks = [Task(str(number), None, None, None, 1.0) for number in range(1000)]

    def chosen(number: int, seed: int, epoch: int) -> str:
        return make_example(Row(number, "", "", "x", {}), tasks, system_prompt="", seed=seed, epoch=epoch).task

    assert len({chosen(0, 0, 0), chosen(1, 0, 0), chosen(0, 1, 0), chosen(0, 0, 1)}) == 4
