"""What the model process says a run would be: its rows and steps, and its memory and time, without any weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.advice.facts import Budget
from core.errors import PoemError
from core.profile.document import dump_profile
from core.profile.schema import Profile
from core.serve_protocol import Plan, plan_from
from tests.tiny import Tiny, make_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("plan"))


@pytest.fixture
def warm(tmp_path: Path) -> Any:
    from core.serve_work import Warm

    return Warm(tmp_path, lambda **_state: None)


def plan(warm: Any, profile: str, **asked: str) -> Plan:
    """A plan as it comes to the app, as JSON."""
    request = {"kind": "plan", "profile": profile, **asked}
    return plan_from(json.loads(json.dumps(list(warm.meet(request, lambda: None))[-1])))


def refuse(*_arguments: Any, **_options: Any) -> None:
    raise AssertionError("nobody wanted that")


def test_it_is_what_the_run_will_be_and_reads_no_weights(
    warm: Any, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.serve_work.load_base", refuse)
    made = plan(warm, dump_profile(tiny.profile()))
    assert (made.rows, made.eval_rows, made.dropped_rows) == (13, 5, 0)
    # 13 rows in batches of 4 are 4 steps an epoch; train.max_steps = 6.
    assert (made.steps_per_epoch, made.steps) == (4, 6)
    # q_proj 16 → 16 and up_proj 16 → 24, each A and B of rank 2.
    assert made.trainable_parameters == 2 * (16 + 16) + 2 * (16 + 24)
    assert (made.device, made.dtype, made.queued_behind) == ("cpu", "float32", "")
    assert 0 < made.supervised_tokens < made.tokens
    assert made.free_bytes > 0


def test_what_does_not_change_the_data_encodes_nothing_anew(
    warm: Any, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = plan(warm, dump_profile(tiny.profile()))
    monkeypatch.setattr("core.serve_plan.prepare", refuse)
    again = plan(warm, dump_profile(tiny.profile("train.batch_size=2", "train.max_steps=0")))
    assert (again.tokens, again.steps_per_epoch) == (made.tokens, 7)
    changed = tmp_path / "changed.json"
    changed.write_bytes(tiny.data.read_bytes())
    with pytest.raises(AssertionError):
        plan(warm, dump_profile(tiny.profile(f'data.path="{changed}"')))


def test_relative_paths_start_from_the_base_folder(warm: Any, tiny: Tiny, tmp_path: Path) -> None:
    text = dump_profile(tiny.profile('data.path="poems.json"', 'model.base="base"'))
    assert plan(warm, text, base_dir=str(tiny.data.parent)).rows == 13
    with pytest.raises(PoemError, match="poems.json|base"):
        plan(warm, text, base_dir=str(tmp_path))
    with pytest.raises(PoemError):
        plan(warm, text, base_dir=str(tmp_path / "nowhere"))


def test_memory_and_time_are_those_of_the_rows_that_train(
    warm: Any, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(warm, dump_profile(tiny.profile()))
    budget = made.budget
    assert budget is not None and (budget.device, budget.dtype) == ("cpu", "float32")
    assert budget.verdict in ("fits", "tight") and sum(budget.parts.values()) == budget.bytes < budget.memory_bytes
    # float32: a number's gradient is as large as itself, AdamW keeps two more of its size.
    trained = 4 * made.trainable_parameters
    assert [budget.parts[part] for part in ("adapters", "gradients", "optimiser")] == [trained, trained, 2 * trained]
    assert budget.seconds is not None and budget.seconds > 0

    seen: list[tuple[int, int, int | None]] = []

    def weigh(_profile: Profile, lengths: Sequence[int], supervised: Sequence[int], *, eval_rows: int) -> Budget:
        seen.append((sum(lengths), sum(supervised), eval_rows))
        return replace(budget, fits_with={"train.micro_batch_size": 1})

    monkeypatch.setattr("core.serve_plan.budget_here", weigh)
    again = plan(warm, dump_profile(tiny.profile("train.learning_rate=0.5", "train.keep_checkpoints=9")))
    assert again.budget == budget and seen == []
    other = plan(warm, dump_profile(tiny.profile("train.micro_batch_size=4")))
    assert other.budget is not None and other.budget.fits_with == {"train.micro_batch_size": 1}
    assert seen == [(made.tokens, made.supervised_tokens, 5)]
    plan(warm, dump_profile(tiny.profile("train.micro_batch_size=4", "data.eval_rows=4")))
    assert len(seen) == 2 and seen[1][2] == 4
