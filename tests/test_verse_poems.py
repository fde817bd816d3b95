"""Poems that everyone knows, and slips made in them on purpose, judged; what is expected was worked out by hand."""

from __future__ import annotations

import pytest

from core.verse.judge import RULES, Judgement, judge

STORKS = "白日依山盡，黃河入海流。欲窮千里目，更上一層樓。"
DAWN = "春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少。"
QUIET_NIGHT = "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。"
WHITE_KING = "朝辭白帝彩雲間，千里江陵一日還。兩岸猿聲啼不住，輕舟已過萬重山。"
SPRING_VIEW = "國破山河在，城春草木深。感時花濺淚，恨別鳥驚心。烽火連三月，家書抵萬金。白頭搔更短，渾欲不勝簪。"
CLIMBING = (
    "風急天高猿嘯哀，渚清沙白鳥飛迴。無邊落木蕭蕭下，不盡長江滾滾來。"
    "萬里悲秋常作客，百年多病獨登臺。艱難苦恨繁霜鬢，潦倒新停濁酒杯。"
)
UNTITLED = (
    "相見時難別亦難，東風無力百花殘。春蠶到死絲方盡，蠟炬成灰淚始乾。"
    "曉鏡但愁雲鬢改，夜吟應覺月光寒。蓬山此去無多路，青鳥殷勤為探看。"
)
JIANDE_RIVER = "移舟泊煙渚，日暮客愁新。野曠天低樹，江清月近人。"
SEEING_OFF = "渭城朝雨浥輕塵，客舍青青柳色新。勸君更盡一杯酒，西出陽關無故人。"


def misses(judgement: Judgement) -> list[tuple[int, int, str, str, str]]:
    return [(miss.line, miss.position, miss.character, miss.rule, miss.due) for miss in judgement.misses]


@pytest.mark.parametrize(
    ("poem", "form", "group", "pattern"),
    [
        (STORKS, "五絕", "下平聲十一尤", "仄起首句不入韻"),
        (WHITE_KING, "七絕", "上平聲十五刪", "平起首句入韻"),
        (SPRING_VIEW, "五律", "下平聲十二侵", "仄起首句不入韻"),
        (CLIMBING, "七律", "上平聲十灰", "仄起首句入韻"),
        (UNTITLED, "七律", "上平聲十四寒", "仄起首句入韻"),
    ],
)
def test_regulated_verse_keeps_every_rule(poem: str, form: str, group: str, pattern: str) -> None:
    found = judge(poem)
    assert (found.form, found.groups, found.pattern) == (form, (group,), pattern)
    assert found.rhyme and found.rhyme_ping and found.template and found.template_ao and found.regulated
    assert found.dui and found.nian and found.no_three_level
    assert not found.old and found.misses == () and found.ao_lines == () and found.unknown == ""


def test_an_oblique_rhyme_is_said_once() -> None:
    # 春眠不覺曉: 平平○仄仄; 處處聞啼鳥: 仄仄○平仄; 夜來風雨聲: 仄平平仄平; 花落知多少: 平仄平平仄.
    found = judge(DAWN)
    assert (found.form, found.groups) == ("五絕", ("上聲十七篠",))
    assert found.first_line_rhymes and found.rhyme and not found.rhyme_ping
    assert found.dui and not found.nian and not found.template and not found.regulated and found.old
    assert misses(found) == [(2, 5, "鳥", "oblique_rhyme", ""), (3, 2, "來", "nian", "")]


def test_an_old_style_quatrain() -> None:
    # 床前明月光: 平平平仄平; 疑是地上霜: 平仄仄仄平; 舉頭望明月: 仄平○平仄; 低頭思故鄉: 平平○仄○.
    found = judge(QUIET_NIGHT)
    assert (found.form, found.groups) == ("五絕", ("下平聲七陽",))
    assert found.rhyme_ping and not found.template_ao and not found.dui and not found.nian and found.old
    assert misses(found) == [(2, 4, "上", "alternation", "平"), (3, 2, "頭", "nian", ""), (4, 2, "頭", "dui", "")]
    assert found.ao_lines == (3,)


def test_ao_excuses_a_first_line_of_a_couplet() -> None:
    # 移舟泊煙渚: 平平仄平仄 for 平平平仄仄.
    found = judge(JIANDE_RIVER)
    assert found.ao_lines == (1,) and not found.template and found.template_ao and found.regulated
    assert found.pattern == "平起首句不入韻" and found.misses == ()
    assert not found.dui  # the figure of its own, which knows no 拗


def test_ao_excuses_no_second_line_of_a_couplet() -> None:
    found = judge("白日依山盡，黃河入江海。欲窮千里目，更上一層樓。")
    assert not found.template_ao and found.ao_lines == ()
    assert (2, 4, "江", "alternation", "仄") in misses(found)


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        # 仄平仄仄平, and mended by a level tone in its third place.
        ("落河入海流", "落河天海流", (2, 1, "落", "lone_level", "")),
        # 仄仄平平平
        ("更上高層樓", "更上百層樓", (4, 5, "樓", "three_level", "")),
        # 更上一水樓: the fourth must be level.
        ("更上一水樓", "更上一層樓", (4, 4, "水", "alternation", "平")),
        # 高登百尺樓, 平平仄仄平, under 欲窮千里目, ○平平仄仄.
        ("高登百尺樓", "更上一層樓", (4, 2, "登", "dui", "")),
        # 樓 → 臺: 灰 for 尤
        ("更上一層臺", "更上一層樓", (4, 5, "臺", "rhyme", "")),
        # an odd line that ends level
        ("欲窮千里天", "欲窮千里目", (3, 5, "天", "line_end", "仄")),
    ],
)
def test_one_slip_is_one_miss(wrong: str, right: str, expected: tuple[int, int, str, str, str]) -> None:
    lines = ["白日依山盡", "黃河入海流", "欲窮千里目", "更上一層樓"]
    line, rule = expected[0] - 1, expected[3]
    assert judge("，".join([*lines[:line], right, *lines[line + 1 :]])).misses == ()
    found = judge("，".join([*lines[:line], wrong, *lines[line + 1 :]]))
    assert misses(found) == [expected]
    assert found.regulated == (rule in ("lone_level", "three_level"))
    assert found.no_three_level == (rule != "three_level")


def test_a_poem_that_does_not_stick() -> None:
    # 客舍 仄, then 勸君 平: 失黏, with 對 kept in both couplets.
    found = judge(SEEING_OFF)
    assert misses(found) == [(3, 2, "君", "nian", "")]
    assert found.rhyme_ping and found.dui and not found.nian and not found.regulated and not found.old


def test_simplified_characters_are_looked_up_as_traditional() -> None:
    found = judge("白日依山尽,黄河入海流.欲穷千里目,更上一层楼.")
    expected = judge(STORKS)
    assert found.simplified and not expected.simplified
    assert found.lines[0] == "白日依山尽"  # shown as written
    assert (found.groups, found.pattern, found.regulated) == (expected.groups, expected.pattern, True)
    slip = judge("朝辞白帝彩云间，千里江陵一日还。两岸猿声啼不住，轻舟已过万层楼。")
    assert slip.unknown == "" and misses(slip) == [(4, 7, "楼", "rhyme", "")]
    # 机 alone is another, rare character (紙); beside Simplified ones it is 機 (微).
    assert judge("白日依山尽，黄河入海机。欲穷千里目，更上一层衣。").groups == ("上平聲五微",)


def test_an_unknown_character_counts_neither_way() -> None:
    found = judge(STORKS.replace("白日", "白□"))
    assert found.unknown == "□" and found.template and found.regulated and found.misses == ()
    # One rhyme of two unknown: no miss, and yet nothing shows that they rhyme.
    found = judge(STORKS.replace("流", "□"))
    assert (found.unknown, found.rhyme, found.regulated, found.misses) == ("□", False, False, ())
    # Of four rhymes three are known: the fourth is no miss, and the group is named.
    found = judge(SPRING_VIEW.replace("金", "□"))
    assert found.groups == ("下平聲十二侵",) and not found.rhyme and found.misses == ()


def test_without_verse_there_is_nothing_to_miss() -> None:
    for text in ("", " \n", "。，", "白日依山盡", "「」"):
        found = judge(text)
        assert (found.form, found.groups, found.misses, found.pattern) == ("", (), (), "")
        assert not (found.rhyme or found.template or found.regulated)
    prose = judge("昔者莊周夢為胡蝶，栩栩然胡蝶也，自喻適志與，不知周也。俄然覺，則蘧蘧然周也。")
    assert prose.form == "雜言" and not prose.template and prose.misses == ()


def test_long_poems_are_pailu_only_where_they_are_regulated() -> None:
    assert judge(STORKS * 3).form == "五言排律" and judge(STORKS * 3).regulated
    assert judge(STORKS * 3 + "白日依山盡，黃河入海流。欲窮千里目，高登百尺樓。").form == "五言古體"
    assert judge(QUIET_NIGHT * 3).form == "五言古體"


def test_hostile_text_is_only_text() -> None:
    found = judge("\x1b[31m白日依山，" + "長" * 100_000 + "，[bold]，\ud800")
    assert found.form == "雜言" and "\x1b" in found.unknown
    assert judge("流" * 5 + "，\x1b\x1b\x1b\x1b\x1b" * 3).form == "五絕"


def test_misses_are_named_for_people() -> None:
    rules = {miss.rule for poem in (QUIET_NIGHT, DAWN, SEEING_OFF) for miss in judge(poem).misses}
    assert rules <= set(RULES)
