"""Each kind of problem with a row that has it and one that nearly has."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from core.audit.find import BY_JUDGEMENTS, BY_LINES, find_problems
from core.audit.kinds import EXCLUDABLE, KINDS
from core.audit.poem import judged_poem
from core.audit.problem import Problem
from core.data.holdout import Split, split_rows
from core.data.row import SAMPLE, Row
from core.data.rows import read_rows
from core.profile.reference import KEYS
from core.verse.judge import judge

ASK = "續寫這首詩。"
SPRING = "春眠不覺曉，處處聞啼鳥。", "夜來風雨聲，花落知多少。"
TOWER = "白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。"
MOON = "牀前明月光，疑是地上霜。", "舉頭望明月，低頭思故鄉。"
SNOW = "千山鳥飛絕，萬徑人蹤滅。", "孤舟簑笠翁，獨釣寒江雪。"


def rows_of(*pairs: tuple[str, str], **extra: Sequence[str]) -> list[Row]:
    return [
        Row(number, ASK, given, rest, {name: values[number] for name, values in extra.items()})
        for number, (given, rest) in enumerate(pairs)
    ]


def problems_of(rows: Sequence[Row], split: Split | None = None) -> list[Problem]:
    return list(find_problems(rows, [judge(judged_poem(row)) for row in rows], split=split))


def found(kind: str, rows: Sequence[Row]) -> dict[int, str]:
    """Row → what is wrong with it."""
    return next((dict(problem.details) for problem in problems_of(rows) if problem.kind == kind), {})


def kinds_of(*pairs: tuple[str, str]) -> list[str]:
    return [problem.kind for problem in problems_of(rows_of(*pairs))]


def detail(kind: str, given: str, rest: str) -> str | None:
    """What is wrong with a row among three good ones."""
    rows = rows_of(SPRING, TOWER, MOON, (given, rest))
    return found(kind, rows).get(3)


def test_every_kind_has_a_way_to_be_found_and_a_place_in_the_profile() -> None:
    assert {*BY_LINES, *BY_JUDGEMENTS} == set(EXCLUDABLE)
    assert KEYS["data.exclude"].choices == EXCLUDABLE
    assert set(KINDS) - set(EXCLUDABLE) == {"bad-row", "nothing-supervised", "overlong", "leakage"}
    assert all(name == kind.name and kind.title and kind.remedy for name, kind in KINDS.items())
    tones = ("error", "warning", "hint")
    assert [tones.index(kind.tone) for kind in KINDS.values()] == sorted(
        tones.index(kind.tone) for kind in KINDS.values()
    )


def test_good_poems_have_no_problem() -> None:
    assert kinds_of(SPRING, TOWER, MOON, SNOW) == []
    assert problems_of([]) == []


def test_the_sample_has_liberties_and_rare_characters_alone() -> None:
    rows = read_rows(SAMPLE).rows
    problems = {problem.kind: problem.rows for problem in problems_of(rows)}
    assert list(problems) == ["broken-rhyme", "unknown-character"]
    assert len(problems["broken-rhyme"]) == 10
    assert problems["unknown-character"] == (246, 249, 278, 294)


# duplicates


def test_the_same_poem_is_found_whatever_its_marks() -> None:
    rows = rows_of(SPRING, TOWER, SPRING, ("春眠不覺曉,處處聞啼鳥.", SPRING[1]), ("", "".join(SPRING)))
    assert found("duplicate", rows) == {
        2: "the same as row 0",
        3: "the same as row 0, divided elsewhere",
        4: "the same as row 0, divided elsewhere",
    }
    assert found("near-duplicate", rows) == {}
    other = [*rows_of(SPRING), Row(7, "背一首詩。", *SPRING, {})]
    assert found("duplicate", other) == {7: "the same as row 0, with another instruction"}
    assert found("duplicate", rows_of(SPRING, (SPRING[0], "夜來風雨聲，花落知幾許。"))) == {}


def test_one_poem_under_two_authors() -> None:
    rows = rows_of(SPRING, SPRING, SPRING, author=("孟浩然", "王維", "孟浩然"))
    assert found("duplicate", rows) == {
        1: "the same as row 0; here by 王維, there by 孟浩然",
        2: "the same as row 0",
    }
    assert found("duplicate", rows_of(SPRING, SPRING, 詩人=("孟浩然", ""))) == {1: "the same as row 0"}


LONG = (
    "白筆南征變二毛，越山愁瘴海驚濤。",
    "才歸龍尾含雞舌，更立螭頭運兔毫。閶闔欲開宮漏盡，冕旒初坐御香高。吳中舊侶君先貴，曾憶王祥與佩刀。",
)
EXCERPT = "纔歸龍尾含雞舌，更立螭頭運兔毫。", "閶闔欲開金漏盡，冕旒初坐御香高。"


def test_variants_excerpts_and_other_characters_are_near() -> None:
    # 24 pairs of characters in EXCERPT; 纔 is 才 in Simplified, so all but 金's two are in LONG.
    assert found("near-duplicate", rows_of(LONG, EXCERPT)) == {
        1: "an excerpt of row 0: 92 % of its pairs of characters"
    }
    assert found("near-duplicate", rows_of(EXCERPT, LONG)) == {
        1: "row 0 is an excerpt of it: 92 % of the pairs of characters"
    }
    simplified = "春眠不觉晓，处处闻啼鸟。", "夜来风雨声，花落知多少。"
    rows = rows_of(SPRING, TOWER, simplified, author=("孟浩然", "王之渙", "王維"))
    assert found("near-duplicate", rows) == {2: "row 0 in other characters; here by 王維, there by 孟浩然"}


def test_half_of_the_pairs_make_a_variant_and_less_does_not() -> None:
    # 16 pairs of characters; a character in the middle of a line is in two of them, one at its end in one.
    eight = "春眠何覺曉，處處誰啼鳥。", "夜來何雨聲，花落誰多少。"
    assert found("near-duplicate", rows_of(SPRING, eight)) == {1: "a variant of row 0: 50 % of the pairs of characters"}
    seven = eight[0], "夜來何雨聲，花落誰多寡。"
    assert found("near-duplicate", rows_of(SPRING, seven)) == {}


def test_a_row_near_a_double_alone_is_none() -> None:
    first = SPRING
    second = "春眠何覺曉，處處誰啼鳥。", "夜來何雨聲，花落誰多少。"
    third = "春眠何覺曉，處處誰啼鳥。", "山中何雨聲，月下誰多少。"
    assert found("near-duplicate", rows_of(first, second, third)) == {
        1: "a variant of row 0: 50 % of the pairs of characters"
    }
    assert found("near-duplicate", rows_of(second, third)) == {1: "a variant of row 0: 75 % of the pairs of characters"}


def test_short_texts_are_not_compared() -> None:
    assert found("near-duplicate", rows_of(("春眠不覺曉", "處處聞"), ("春眠不覺曉", "處處問"))) == {}


def test_english_needs_more_than_common_letters() -> None:
    first = "", "The moon is bright upon the quiet lake tonight and no one sings."
    other = "", "The sun is high above the silent hill today and all are singing."
    near = "", "The moon is bright upon the quiet lake tonight and someone sings."
    assert found("near-duplicate", rows_of(first, other)) == {}
    assert list(found("near-duplicate", rows_of(first, near))) == [1]


def test_the_same_input_with_another_output() -> None:
    other = SPRING[0], "山中一夜雨，樹杪百重泉。"
    rows = rows_of(SPRING, other, SPRING, TOWER)
    assert found("same-input", rows) == {1: "the input of row 0"}
    assert found("same-input", [rows[0], Row(1, "寫別的。", *other, {})]) == {}
    assert found("same-input", rows_of(("", SPRING[1]), ("", TOWER[1]))) == {}


def test_leakage_is_about_training_rows_near_held_out_ones() -> None:
    rows = rows_of(SPRING, ("春眠何覺曉，處處誰啼鳥。", "夜來何雨聲，花落誰多少。"), TOWER, ("春眠", "不覺"), LONG)
    (problem,) = (one for one in problems_of(rows, Split((1, 2, 3, 4), (0,), ())) if one.kind == "leakage")
    assert dict(problem.details) == {1: "a variant of row 0: 50 % of the pairs of characters"}
    assert not [one for one in problems_of(rows, Split((2, 3, 4), (0,), (1,))) if one.kind == "leakage"]
    assert not [one for one in problems_of(rows, Split((0, 2, 3), (4,), (1,))) if one.kind == "leakage"]


def test_leakage_beyond_what_the_split_sets_aside() -> None:
    rows = rows_of(SPRING, TOWER, MOON, ("春眠不觉晓，处处闻啼鸟。", "夜来风雨声，花落知多少。"))
    split = split_rows(rows, rows_wanted=None, eval_rows=1, seed=0, hold_out=["夜來風雨聲"])
    assert split == Split((1, 2, 3), (0,), ())
    assert {one.kind: one.details for one in problems_of(rows, split)}["leakage"] == {3: "row 0 in other characters"}


# fields


@pytest.mark.parametrize(
    ("given", "rest", "expected"),
    [
        ("", SPRING[1], "input is blank"),
        (" \n", SPRING[1], "input is blank"),
        ("春眠，", SPRING[1], "input is “春眠，”"),
        ("春眠不，", SPRING[1], None),
        (SPRING[0], "多少。", "output is “多少。”"),
        (SPRING[0], "知多少。", None),
        (SPRING[0], "，。！？", "output is “，。！？”"),
    ],
)
def test_tiny_fields(given: str, rest: str, expected: str | None) -> None:
    assert detail("tiny-field", given, rest) == expected


def test_a_field_that_most_rows_leave_out_is_not_missed() -> None:
    assert found("tiny-field", rows_of(("", SPRING[1]), ("", TOWER[1]), MOON)) == {}
    assert found("tiny-field", rows_of(("", SPRING[1]), TOWER, MOON)) == {0: "input is blank"}
    assert found("tiny-field", [*rows_of(SPRING, TOWER), Row(2, "", *MOON, {})]) == {2: "instruction is blank"}


def test_an_input_in_the_output() -> None:
    assert detail("repeated-input", SNOW[0], "".join(SNOW)) == "the output begins with the input"
    assert detail("repeated-input", SNOW[0].rstrip("。"), SNOW[1] + SNOW[0]) == "the output holds the input"
    assert detail("repeated-input", SNOW[0], SNOW[1] + "千山鳥飛絕。") is None
    assert detail("repeated-input", "孤舟簑", SNOW[1]) is None  # three characters come again by chance
    whole = [(given, given + rest) for given, rest in (SPRING, TOWER, MOON)]
    assert kinds_of(*whole) == []  # that is what this file is for
    assert kinds_of(*whole, SNOW) == []


# characters


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("孤舟□笠翁，獨釣寒江□。", "□ in line 3"),
        ("孤舟簑笠翁，獨釣囗江雪。", "囗 in line 4"),
        ("孤舟{草/衰}笠翁，獨釣寒江雪。", "{草/衰} in line 3"),
        ("孤舟[草*衰]笠翁，獨釣寒江雪。", "[草*衰] in line 3"),
        ("孤舟⿰笠翁，獨釣寒江雪。", "⿰ in line 3"),
        ("孤舟\ufffd笠翁，獨釣寒江雪。", "\ufffd in line 3"),
        ("孤舟\ue123笠翁，獨釣■江〓。", "U+E123 in line 3, ■ in line 4, 〓 in line 4"),
        ("□■〓囗翁，獨釣寒江雪。", "□ in line 3, ■ in line 3, 〓 in line 3 …"),
        ("孤舟？笠翁，獨釣寒江雪。", "？ in place of a character"),
        ("孤舟簑笠?，獨釣寒江雪。", "? in place of a character"),
        ("孤舟簑笠翁？獨釣寒江雪。", None),
        ("孤舟簑笠翁，獨釣寒江雪？", None),
        ("「孤舟簑笠翁？」獨釣寒江雪。", None),
        ("{author}說：孤舟簑笠翁，獨釣寒江雪。", None),
        ("孤舟回笠翁，獨釣寒江雪。", None),
    ],
)
def test_missing_characters(rest: str, expected: str | None) -> None:
    assert detail("missing-character", SNOW[0], rest) == expected


def test_a_question_in_prose_is_a_question() -> None:
    assert detail("missing-character", "這首詩是誰寫的？", "是柳宗元嗎？不，不是，是別的人寫的，你說呢？") is None


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("孤舟\u200b簑笠翁，獨釣寒江雪。", "U+200B"),
        ("孤舟簑笠翁，\u3000獨釣寒江雪。\ufeff", "U+3000, U+FEFF"),
        ("\u202e孤舟簑笠翁，\t獨釣寒江雪。\x85\xa0", "U+202E, U+0009, U+0085 …"),
        ("孤舟簑笠翁， 獨釣寒江雪。\n", None),
        ("孤舟簑\ufe00笠翁，獨釣寒江雪。", None),  # it chooses a glyph
    ],
)
def test_invisible_characters(rest: str, expected: str | None) -> None:
    assert detail("invisible-character", SNOW[0], rest) == expected


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("孤舟簑（一作蓑）笠翁，獨釣寒江雪。", "（一作蓑） in line 3"),
        ("孤舟簑笠翁，獨釣寒江雪。【柳宗元】", "【柳宗元】 in line 5"),
        ("孤舟簑笠翁)，獨釣寒江雪。", ") in line 3"),
        ("孤舟簑笠翁，（這一句後來有許多不同的解釋）獨釣寒江雪。", "（這一句後來有許多不同的… in line 4"),
        ("「孤舟簑笠翁」，獨釣寒江雪。", None),
        ("孤舟{草/衰}笠翁，獨釣寒江雪。", None),
    ],
)
def test_brackets(rest: str, expected: str | None) -> None:
    assert detail("bracket", SNOW[0], rest) == expected


def test_brackets_in_prose_are_fine() -> None:
    prose = "這首詩（五言絕句）寫的是一位在寒冷的江上獨自釣魚的老人，作者借此表達自己的孤獨。"
    assert detail("bracket", "解釋", prose) is None


def test_narrow_marks_among_wide_ones() -> None:
    assert detail("mixed-punctuation", SNOW[0], "孤舟簑笠翁,獨釣寒江雪.") == ",, ."
    assert detail("mixed-punctuation", SNOW[0], "孤舟簑笠翁，獨釣寒江雪｡") == "｡"
    assert detail("mixed-punctuation", SNOW[0], "v1.5, 孤舟簑笠翁，獨釣寒江雪。") is None
    narrow = [(given.replace("，", ",").replace("。", "."), rest.replace("，", ",").replace("。", "."))
              for given, rest in (SPRING, TOWER, MOON)]  # fmt: skip
    assert kinds_of(*narrow) == []
    assert found("mixed-punctuation", rows_of(*narrow, SNOW, (narrow[0][0], SNOW[1]))) == {4: ",, ."}


def test_the_rarer_script_is_the_odd_one() -> None:
    simplified = "千山鸟飞绝，万径人踪灭。", "孤舟蓑笠翁，独钓寒江雪。"
    assert detail("mixed-script", *simplified) == "Simplified: 鸟 飞 绝 万 径 …"
    assert detail("mixed-script", "千山云飞绝，萬徑人蹤滅。", SNOW[1]) == "Simplified: 飞 绝"
    assert detail("mixed-script", "千山云雨後，萬里一台高。", SNOW[1]) is None  # 云 and 台 are in both
    others = (
        ("白日依山尽，黄河入海流。", "欲穷千里目，更上一层楼。"),
        ("床前明月光，疑是地上霜。", "举头望明月，低头思故乡。"),
    )
    assert found("mixed-script", rows_of(simplified, *others, MOON)) == {3: "Traditional: 牀 舉 頭 鄉"}


# verse


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("孤舟簑笠翁，獨釣寒江。", "line 4 has 4 characters, most have 5"),
        ("孤舟簑笠翁也，獨釣寒江雪。", "line 3 has 6 characters, most have 5"),
        ("孤舟簑笠，獨釣寒江。", None),  # half and half
        ("孤舟簑笠翁，獨釣寒江雪。", None),
    ],
)
def test_irregular_lines(rest: str, expected: str | None) -> None:
    assert detail("irregular-lines", SNOW[0], rest) == expected


def test_prose_is_no_irregular_verse() -> None:
    prose = "這是一首寫雪景的詩，作者是柳宗元，他當時被貶到永州，心情很孤獨。"
    assert kinds_of(SPRING, TOWER, ("解釋這首詩。", prose)) == []


def test_an_odd_number_of_lines() -> None:
    assert detail("odd-lines", SNOW[0], "孤舟簑笠翁。") == "3 lines"
    assert detail("odd-lines", SNOW[0], SNOW[1] + "千山鳥飛絕。") == "5 lines"
    assert detail("odd-lines", SNOW[0], SNOW[1]) is None
    assert detail("odd-lines", "", "孤舟簑笠翁。") is None
    assert detail("odd-lines", "這是詩。", "寫的是冬天的江上，有一個老人。") is None


def test_a_broken_rhyme() -> None:
    assert detail("broken-rhyme", TOWER[0], "欲窮千里目，更上一層天。") == "rhyming with no other: 天 (line 4)"
    eight = "空山新雨後，天氣晚來秋。", "明月松間照，清泉石上流。竹喧歸浣女，蓮動下漁舟。隨意春芳歇，王孫自可家。"
    assert detail("broken-rhyme", *eight) == "not in 下平聲十一尤: 家 (line 8)"
    assert detail("broken-rhyme", eight[0], eight[1].replace("家", "留")) is None
    gap = "鄉心新歲切，天畔獨潸然。", "老至居人下，春歸在客先。嶺猿同旦暮，江柳共風煙。已似長沙傅，從今又幾年。"
    assert detail("broken-rhyme", *gap) is None  # the table lacks 先 in 下平聲一先
    assert detail("broken-rhyme", gap[0], gap[1].replace("年", "秋")) == "not in 下平聲一先: 秋 (line 8)"
    assert detail("broken-rhyme", TOWER[0], "欲窮千里目，更上一層□。") is None  # nobody knows
    assert detail("broken-rhyme", TOWER[0], "欲窮千里目，更上一層天。一二三四五。") is None  # no regular form


def test_characters_that_the_table_lacks() -> None:
    assert detail("unknown-character", SNOW[0], "孤舟簑笠A，1釣寒江雪。") == "A 1"
    assert detail("unknown-character", SNOW[0], "ABC笠翁，DEF江雪。") == "A B C D E …"
    assert detail("unknown-character", "孤舟", "Hello, world of poems and songs.") is None


# all


def test_which_poem_a_row_holds() -> None:
    def poem(given: str, rest: str) -> str:
        return judged_poem(Row(0, ASK, given, rest, {}))

    assert poem(*SPRING) == "\n".join(SPRING)
    assert poem("春眠不覺曉，處處聞啼鳥", SPRING[1]) == f"春眠不覺曉，處處聞啼鳥\n{SPRING[1]}"
    assert poem(SPRING[0], "".join(SPRING)) == "".join(SPRING)
    assert poem(SPRING[0].rstrip("。"), "\n" + "".join(SPRING)) == "\n" + "".join(SPRING)
    assert poem("春眠", "春眠不覺曉。") == "春眠\n春眠不覺曉。"
    assert poem("寫一首春天的詩", "".join(SPRING)) == "".join(SPRING)
    assert poem("寫一首春天的詩", SPRING[1]) == "寫一首春天的詩\n" + SPRING[1]
    assert poem(SPRING[0], "".join(TOWER)) == SPRING[0] + "\n" + "".join(TOWER)


def test_any_row_is_borne_and_the_order_of_sets_does_not_show() -> None:
    rng = random.Random(5)
    signs = "春山水月，。？□ \n\u200b\u202e[red]({/})ABC,.发馬\U0002000b"
    pairs = [("".join(rng.choices(signs, k=rng.randrange(9))), "".join(rng.choices(signs, k=1 + rng.randrange(40))))
             for _n in range(300)]  # fmt: skip
    rows = rows_of(*pairs, *pairs[:20])
    problems = problems_of(rows)
    assert problems == problems_of(rows)
    for problem in problems:
        assert problem.rows == tuple(sorted(problem.details)) != ()
        assert all(problem.details.values())


def test_a_huge_row_is_no_trouble() -> None:
    huge = "春山□（水{月/日}）？\u200b，" * 8_000 + "[" * 30_000 + "{" * 30_000 + "？" * 10_000
    rows = rows_of(SPRING, (huge, huge), TOWER, ("", "春" * 100_000), ("", "春" * 99_999))
    problems = problems_of(rows)
    assert all(len(text) < 200 for problem in problems for text in problem.details.values())
    assert {"missing-character", "invisible-character"} <= {problem.kind for problem in problems}
