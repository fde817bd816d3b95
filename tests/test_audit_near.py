"""Near texts: what MinHash finds against what comparing every pair finds."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import product
from pathlib import Path

from core.audit.near import NEAR_SHARE, NearTexts, folded, pairs_of, share_of
from core.data.holdout import poem_of
from core.data.row import SAMPLE
from core.data.rows import read_rows
from core.verse.form import verse_lines

ROOT = Path(__file__).resolve().parent.parent


def sample() -> list[str]:
    """The bundled poems, and half as many made of them: variants in one character a line, and first halves of those."""
    rng = random.Random(7)
    poems = [verse_lines(poem_of(row)) for row in read_rows(SAMPLE).rows]
    characters = "".join(map("".join, poems))
    made = []
    for lines in poems[::2]:
        places = [rng.randrange(len(line)) for line in lines]
        varied = [line[:at] + rng.choice(characters) + line[at + 1 :] for line, at in zip(lines, places, strict=True)]
        made.append(varied[: len(lines) // 2] if len(made) % 4 == 0 else varied)
    return folded([" ".join(lines) for lines in [*poems, *made]])


def test_pairs_and_shares_by_hand() -> None:
    assert pairs_of("春眠不 處處處") == {"春眠", "眠不", "處處"}
    assert pairs_of("春") == pairs_of("") == frozenset()
    assert pairs_of("a tree too") == {"a tree t", " tree to", "tree too"}
    one, other = pairs_of("一二三四五六七八九"), pairs_of("六七八九一二三四五甲乙丙")
    assert (len(one), len(other), len(one & other)) == (8, 11, 7)
    assert share_of(one, other) == share_of(other, one) == 7 / 8
    assert share_of(pairs_of("一二三四五六七八"), other) == 0.0  # seven pairs are too few


def test_nothing_is_found_that_is_not_near_and_little_is_missed() -> None:
    texts = sample()
    pairs = [pairs_of(text) for text in texts]
    exact: dict[int, int] = {}
    for at, own in enumerate(pairs):
        others = (other for other in range(at) if other not in exact and share_of(own, pairs[other]) >= NEAR_SHARE)
        if (near := next(others, None)) is not None:
            exact[at] = near
    found = dict(NearTexts(texts).doubles(range(len(texts))))
    assert len(texts) == 600
    assert found.items() <= exact.items()
    assert len(exact) == 200
    assert len(found) >= 180  # of texts that have another character in every line, the hardest to find


def test_what_is_looked_for_among_others() -> None:
    texts = sample()
    near = NearTexts(texts)
    found = near.near(range(400, 600), range(400))
    assert len(found) > 150
    assert all(share_of(pairs_of(texts[at]), pairs_of(texts[other])) >= NEAR_SHARE for at, other in found.items())
    assert near.near(range(400, 600), []) == near.near([], range(400)) == {}


def test_the_same_on_every_run() -> None:
    script = (
        "import sys; from tests.test_audit_near import sample; from core.audit.near import NearTexts; "
        "print(sorted(NearTexts(sample()).doubles(range(600)).items())); "
        "assert not {'numpy', 'torch', 'tokenizers'} & set(sys.modules)"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script], check=True, cwd=ROOT, stdout=subprocess.PIPE, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {f"{sorted(NearTexts(sample()).doubles(range(600)).items())}\n".encode()}


def test_a_file_of_texts_alike_is_compared_with_the_first() -> None:
    texts = [
        f"請寫一首關於{one}{other}的詩並且解釋它的意思" for one, other in product("春夏秋冬風花雪月山水", repeat=2)
    ] * 30
    assert NearTexts(texts).doubles(range(3_000)) == dict.fromkeys(range(1, 3_000), 0)


def test_few_or_empty_texts() -> None:
    assert NearTexts([]).doubles([]) == {}
    assert NearTexts(["", "", "春", "春"]).doubles(range(4)) == {}
    assert folded([]) == []
    assert folded(["鳥 鸟", ""]) == ["鸟 鸟", ""]
