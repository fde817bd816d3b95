"""A review on its way from the model process to the app: cut into pieces, put together, put aside and given up."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from core.advice.codec import facts_fields, facts_from
from core.advice.facts import Budget, Model
from core.audit.kinds import KINDS
from core.audit.problem import Problem
from core.client import ModelClient, ModelGone
from core.data.rows import SAMPLE, read_rows
from core.profile.document import preset_text
from core.report.codec import LINKED_ROWS, pack_rows, section_fields, section_from, unpack_rows
from core.report.document import Bars, Code, Items, RowLinks, Section, Table, Text
from core.serve import Server
from core.serve_protocol import LONGEST_BYTES, Review, ReviewRequest, fields_of, parse_line, to_line
from core.serve_review import review_parts
from tests.review_stage import FORMS, LOSSES, PROBLEMS, SECTIONS, facts

HOSTILE = '\x00\x1b[31m\u2028\u202e\ud800  "\\\n夜'


def sent(value: dict[str, Any]) -> dict[str, Any]:
    """What arrives of what is written."""
    line = to_line(value)
    assert len(line) <= LONGEST_BYTES
    return parse_line(line) or {}


def test_a_section_arrives_as_it_was() -> None:
    section = Section(
        "all",
        HOSTILE,
        (
            Text(HOSTILE, "warning"),
            Items(("a", HOSTILE)),
            Table(("a", "b"), (("1", HOSTILE), ("2", "3")), (1,)),
            Bars("tokens", (("0–9", 3), ("10–19", 0))),
            Code("x = 1\n" + "y" * 5000, "toml"),
            RowLinks("near-duplicate", "t", (0, 7, 9, 4000), ("0: x",), "Mend it.", "error"),
            RowLinks("bad-row", "t", ()),
        ),
    )
    assert section_from(sent(section_fields(section))) == section


def test_what_is_too_long_is_cut_in_the_open() -> None:
    many = RowLinks("x", "t", tuple(range(LINKED_ROWS + 1)), remedy="Mend it.")
    long = section_fields(Section("s", "t", (Text("山" * 4001), many)))
    assert len(to_line(long)) * len(KINDS) < LONGEST_BYTES
    found = section_from(sent(long))
    assert found.blocks[0] == Text("山" * 3999 + "…")
    kept = found.blocks[1]
    assert isinstance(kept, RowLinks)
    assert (len(kept.rows), kept.rows[-1]) == (LINKED_ROWS, LINKED_ROWS - 1)
    assert kept.remedy == "Mend it. Only the first 300,000 of these rows can be gone to from here."
    whole = section_from(section_fields(Section("s", "t", (replace(many, rows=many.rows[:-1]),)))).blocks[0]
    assert isinstance(whole, RowLinks) and whole.remedy == "Mend it."


def test_row_numbers_are_packed_as_steps() -> None:
    assert pack_rows((3, 4, 9)) == [3, 1, 5]
    assert unpack_rows([3, 1, 5]) == (3, 4, 9)
    assert unpack_rows(pack_rows(())) == ()


@pytest.mark.parametrize("with_model", [True, False])
def test_facts_arrive_as_they_were(with_model: bool) -> None:
    known = facts()
    if with_model:
        budget = Budget("tight", 5, 6, 1.5, {"weights": 3}, "cpu", "float32", False, {"train.micro_batch_size": 1})
        known = replace(known, model=Model("b", 5, {"q_proj": 2}, 1, "folder"), budget=budget)
    assert facts_from(sent(facts_fields(known))) == known


# -- the pieces


@pytest.fixture
def reviewed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """The pieces of a review that finds what a test says."""

    def parts(items: Iterator[Any], **wanted: Any) -> list[dict[str, Any]]:
        calls: list[Any] = []

        def review(*arguments: Any, **options: Any) -> Iterator[Any]:
            calls.append((arguments, options))
            return items

        monkeypatch.setitem(sys.modules, "core.review.review", SimpleNamespace(review=review))
        from core.profile.document import check_text

        profile, _problems = check_text('[data]\ncolumns = { output = "o" }\n')
        assert profile is not None
        request = ReviewRequest(**{"path": "p", "columns": {}, "profile": "", "source": "s", "base_dir": ""} | wanted)
        found = list(review_parts(profile, request, check=lambda: None, tell=lambda doing: None))
        [((given, path), options)] = calls
        assert (given.data.path, given.data.columns, path) == (request.path, request.columns, request.path)
        assert (options["source"], options["loss"]) == ("s", request.loss)
        return [sent(part) for part in found]

    return parts


def findings(**others: Any) -> Any:
    known = {"problems": PROBLEMS, "forms": FORMS, "losses": None, "facts": facts()}
    return SimpleNamespace(**known | others)


def together(parts: list[dict[str, Any]]) -> Review:
    review = Review()
    for part in parts:
        review = review.and_part(part)
    return review


def test_the_pieces_together_are_the_review(reviewed: Callable[..., list[dict[str, Any]]]) -> None:
    parts = reviewed(iter([*SECTIONS, findings()]), columns={"output": "text"})
    assert together(parts) == Review(SECTIONS, PROBLEMS, FORMS, None, facts())
    assert [next(iter(part)) for part in parts] == ["section"] * 4 + ["problem"] * 2 + ["form"] * 3 + ["facts"]


def test_losses_arrive_by_row(reviewed: Callable[..., list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.serve_review._LOSSES_AT_ONCE", 2)
    losses = [SimpleNamespace(row=row, nats=nats + 1e-9) for row, nats in reversed(LOSSES.items())]
    parts = reviewed(iter([findings(losses=losses)]), loss=True)
    assert [len(part["losses"][0]) for part in parts if "losses" in part] == [2, 1]
    assert together(parts).losses == LOSSES


def test_a_quarter_of_a_million_rows_fit(reviewed: Callable[..., list[dict[str, Any]]]) -> None:
    rows = tuple(range(0, 500_000, 2))
    details = MappingProxyType(dict.fromkeys(rows, "同第十七行相同"))
    found = together(reviewed(iter([findings(problems=(Problem("bracket", rows, details),), forms={"五絕": rows})])))
    assert found.problems[0].rows == rows == found.forms["五絕"]
    kept = found.problems[0].details
    assert len(kept) == 100_000 // 7 and kept[0] == "同第十七行相同"


# -- in the model process


@dataclass
class Warm:
    """Meets a review in two pieces and lets something happen between them."""

    server: Server
    between: Callable[[], None]
    states: list[tuple[str, str]]

    def tell_state(self, status: str, doing: str) -> None:
        self.server._state = {"status": status, "doing": doing}
        self.states.append((status, doing))

    def judge(self, error: Exception) -> None:
        raise error

    def meet(self, request: Mapping[str, Any], check: Callable[[], None]) -> Iterator[dict[str, Any]]:
        if request["kind"] == "review":
            self.tell_state("busy", "reviewing")
            yield {"piece": 1}
            self.between()
            check()
            yield {"piece": 2}
        else:
            self.tell_state("busy", request["kind"])
            self.server.take(request.get("then", {"cancel": 0}))
            check()
            yield {"of": request["kind"]}


def served(*later: dict[str, Any]) -> tuple[list[Any], list[tuple[str, str]]]:
    """What is answered where requests come in the middle of a review; and the states."""
    answers = io.BytesIO()
    server = Server(io.BytesIO(), answers)

    def come() -> None:
        for one in later:
            server.take(dict(one))

    warm = Warm(server, come, [])
    server.take({"id": 1, "kind": "review"})
    server._meet(server.next_request(), warm)  # type: ignore[arg-type]
    assert server._at_work == []
    found = [json.loads(line) for line in answers.getvalue().splitlines()]
    return [(one["id"], one.get("fields", one["is"])) for one in found], warm.states


def test_other_requests_are_met_in_the_middle_of_a_review() -> None:
    found, states = served({"id": 2, "kind": "encode"}, {"id": 3, "kind": "plan"})
    assert found == [
        (1, {"piece": 1}),
        (2, {"of": "encode"}),
        (2, "done"),
        (3, {"of": "plan"}),
        (3, "done"),
        (1, {"piece": 2}),
        (1, "done"),
    ]
    assert states[-1] == ("busy", "reviewing")


def test_a_later_review_ends_an_earlier_one() -> None:
    found, _states = served({"id": 2, "kind": "review"})
    assert found == [(1, {"piece": 1}), (1, "superseded")]


def test_a_review_is_cancelled_also_while_it_is_put_aside() -> None:
    assert served({"cancel": 1})[0] == [(1, {"piece": 1}), (1, "superseded")]
    found, _states = served({"id": 2, "kind": "encode", "then": {"cancel": 1}})
    assert found == [(1, {"piece": 1}), (1, "superseded"), (2, {"of": "encode"}), (2, "done")]


def test_the_request_is_what_the_process_reads() -> None:
    request = ReviewRequest("p", {"output": "o"}, "x", "s", "/", True)
    assert ReviewRequest(**sent(fields_of(request))) == request


def test_the_real_process_reviews_lets_others_in_and_may_be_killed(tmp_path: Path) -> None:
    text, row = preset_text("tang-tiny-cpu"), read_rows(SAMPLE).rows[3]
    request = ReviewRequest(SAMPLE, {}, text, "tang-tiny-cpu", "")

    async def run() -> None:
        client = ModelClient(lambda state: None, runs_dir=tmp_path)
        try:
            encoded = None
            with pytest.raises(ModelGone, match="the model process was killed"):
                async for found in client.review(request):
                    if encoded is None:
                        encoded = await client.encode(text, "", row, 0)
                        assert [section.id for section in found.sections] == ["structure"]
                        os.kill(client.state.pid, signal.SIGKILL)
            assert encoded is not None and len(encoded.ids) > 20
            *snapshots, whole = [found async for found in client.review(request)]
            assert [found.done for found in snapshots] == [False] * len(snapshots)
        finally:
            await client.close()
        assert whole.done and whole.facts is not None
        assert (whole.facts.rows, whole.facts.model and whole.facts.model.name) == (400, "builtin:tang-tiny")
        assert sum(len(rows) for rows in whole.forms.values()) == 400
        assert [section.id for section in whole.sections][:3] == ["structure", "tokens", "audit"]
        links = [block for section in whole.sections for block in section.blocks if isinstance(block, RowLinks)]
        assert {one.kind: one.rows for one in links if one.kind in KINDS} == {
            problem.kind: problem.rows for problem in whole.problems
        }
        assert {f"form:{form}" for form in whole.forms} <= {one.kind for one in links}

    asyncio.run(run())
