"""The model process by its client: answers like the command line's, requests cancelled and superseded, its ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.client import CompletionRequest, ModelClient, ModelGone, ModelState, Superseded, Written
from core.data.rows import SAMPLE, Row, read_rows
from core.errors import PoemError
from core.profile.document import dump_profile
from core.training.worker import start
from tests.tiny import Tiny, ignore, make_tiny

Steps = Callable[[ModelClient], Coroutine[Any, Any, None]]
Poemcore = Callable[..., dict[str, Any]]
HOSTILE = "\x1b[31m\u202e\u2028[/] 夜"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def run_path(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    outcome = start(tiny.profile(), runs_dir=tmp_path_factory.mktemp("runs"), name="taught", on_event=ignore)
    return outcome.run.path


@pytest.fixture
def profile(tiny: Tiny) -> str:
    return dump_profile(tiny.profile("generation.max_new_tokens=40"))


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Steps], None]]:
    """Has one client and its process do one thing after another; a start takes longer than most requests."""
    with asyncio.Runner() as runner:
        client = ModelClient(lambda state: None, runs_dir=tmp_path_factory.mktemp("runs"))
        yield lambda steps: runner.run(steps(client))
        runner.run(client.close())
        assert asyncio.all_tasks(runner.get_loop()) == set()  # no test has left anything behind


def talk(tmp_path: Path, steps: Steps) -> list[ModelState]:
    """Have a client do something; the states that it went through."""
    states: list[ModelState] = []
    complaints: list[object] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        client = ModelClient(states.append, runs_dir=tmp_path / "runs")
        try:
            await steps(client)
        finally:
            await client.close()
        assert len(asyncio.all_tasks()) == 1  # this one: nothing is left behind

    asyncio.run(run())
    assert complaints == []
    return states


def wish(profile: str, **fields: Any) -> CompletionRequest:
    asked: dict[str, Any] = {
        "text": "白日依山盡，黃河入海流。",
        "profile": profile,
        "base_dir": "",
        "run": "",
        "with_base": False,
        "count": 2,
        "seed": 7,
        "instruction": None,
        "convert": False,
    }
    return CompletionRequest(**asked | fields)


async def last_of(client: ModelClient, request: CompletionRequest) -> Written:
    found = [written async for written in client.complete(request)]
    assert [written.done for written in found] == [False] * (len(found) - 1) + [True]
    return found[-1]


@pytest.fixture
def poemcore(capsys: pytest.CaptureFixture[str]) -> Poemcore:
    """What the command line says, in JSON."""

    def say(*arguments: str) -> dict[str, Any]:
        assert main([*arguments, "--json"]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return say


def test_a_row_is_encoded_as_the_command_line_encodes_it(
    tiny: Tiny, tmp_path: Path, profile: str, poemcore: Poemcore
) -> None:
    async def steps(client: ModelClient) -> None:
        encoded = await client.encode(profile, str(tmp_path), read_rows(SAMPLE).rows[3], 0)
        assert list(encoded.ids) == expected["ids"]
        assert list(encoded.tokens) == expected["tokens"]
        assert encoded.supervised_from == expected["supervised_from"]
        assert encoded.prompt == expected["prompt"]
        assert encoded.task == "row"
        assert encoded.over_cutoff == 0
        assert client.state.loaded == ""  # the weights aren't needed

    sets = [part for item in tiny.settings() for part in ("--set", item)]
    expected = poemcore("encode", SAMPLE, "--row", "3", *sets)
    states = talk(tmp_path, steps)
    assert states[0].status == "starting"
    assert states[-1] == ModelState()


def test_a_long_row_says_by_how_much(tiny: Tiny, warm: Callable[[Steps], None]) -> None:
    async def steps(client: ModelClient) -> None:
        whole = await client.encode(dump_profile(tiny.profile()), "", read_rows(SAMPLE).rows[0], 0)
        short = dump_profile(tiny.profile(f"data.cutoff_len={len(whole.ids) - 3}"))
        assert (await client.encode(short, "", read_rows(SAMPLE).rows[0], 0)).over_cutoff == 3

    warm(steps)


def test_hostile_text_comes_back_as_it_went(warm: Callable[[Steps], None], profile: str) -> None:
    async def steps(client: ModelClient) -> None:
        row = Row(0, HOSTILE, "夜", HOSTILE, {"title": HOSTILE})
        encoded = await client.encode(profile, "", row, 0)
        assert "\x1b[31m" in encoded.prompt
        assert "\u2028" in encoded.prompt

    warm(steps)


def test_a_poem_is_completed_as_the_command_line_completes_it(
    warm: Callable[[Steps], None], run_path: Path, profile: str, poemcore: Poemcore
) -> None:
    async def steps(client: ModelClient) -> None:
        written = await last_of(client, wish(profile, run=str(run_path), with_base=True))
        assert [side.name for side in written.sides] == ["adapter", "base"]
        for side, expected in zip(written.sides, (tuned, base), strict=True):
            found = [(one.text, one.seed, one.tokens, one.stop) for one in side.candidates]
            assert found == [(c["text"], c["seed"], c["tokens"], c["stop"]) for c in expected["completions"]]
            assert side.tokens_per_s > 0
        assert tuned["completions"] != base["completions"]
        again = await last_of(client, wish("", run=str(run_path), count=1))  # the run's own sampling
        assert [side.name for side in again.sides] == ["adapter"]
        assert again.sides[0].candidates[0].tokens <= 3

    common = ["complete", "白日依山盡，黃河入海流。", "--count", "2", "--seed", "7", "--max-new-tokens", "40"]
    common += ["--run", run_path.name, "--runs-dir", str(run_path.parent)]
    tuned, base = poemcore(*common), poemcore(*common, "--base-only")
    warm(steps)


def test_another_adapter_leaves_the_base_loaded(tmp_path: Path, tiny: Tiny, run_path: Path, profile: str) -> None:
    async def steps(client: ModelClient) -> None:
        first = await last_of(client, wish(profile, run=str(run_path)))
        second = await last_of(client, wish(profile, run=str(other.run.path)))
        again = await last_of(client, wish(profile, run=str(run_path)))
        assert again.sides[0].candidates == first.sides[0].candidates != second.sides[0].candidates

    other = start(tiny.profile("train.seed=9"), runs_dir=tmp_path / "others", name="other", on_event=ignore)
    states = talk(tmp_path, steps)
    assert [state.doing for state in states].count("loading the model") == 1
    assert [state.doing for state in states].count("loading the adapter") == 3


def test_the_latest_request_is_answered(warm: Callable[[Steps], None], profile: str) -> None:
    async def steps(client: ModelClient) -> None:
        rows = read_rows(SAMPLE).rows[:20]
        asked = [client.encode(profile, "", row, 0) for row in rows]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, Superseded) for answer in answers) >= 17
        alone = await client.encode(profile, "", rows[-1], 0)
        assert answers[-1] == alone

    warm(steps)


def test_a_completion_ends_within_a_token_of_its_cancellation(warm: Callable[[Steps], None], tiny: Tiny) -> None:
    async def steps(client: ModelClient) -> None:
        seen = []
        with pytest.raises(Superseded):
            async for written in client.complete(wish(long, count=1)):
                if not seen:
                    await client.cancel()
                seen.append(written)
        assert not seen[-1].done
        assert len(seen) <= 3  # what was on its way
        async for _written in client.complete(wish(long, count=1)):
            break  # who stops listening stops the work
        began_s = time.monotonic()
        await last_of(client, wish(long.replace("max_new_tokens = 200", "max_new_tokens = 2"), count=1))
        assert time.monotonic() - began_s < 30

    # Nothing ends it early: the model is random and would need an end token by chance.
    long = dump_profile(tiny.profile("generation.max_new_tokens=200", "generation.temperature=0"))
    warm(steps)


def test_a_killed_process_is_told_and_replaced_and_a_stuck_one_closed_at_once(tmp_path: Path, profile: str) -> None:
    async def steps(client: ModelClient) -> None:
        row = read_rows(SAMPLE).rows[0]
        first = await client.encode(profile, "", row, 0)
        pid = client.state.pid
        os.kill(pid, signal.SIGSTOP)  # so that the request is still in hand
        waiting = asyncio.create_task(client.encode(profile, "", row, 1))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ModelGone, match="was killed, perhaps because memory ran out"):
            await waiting
        assert client.state.status == "off"
        assert "was killed, perhaps because memory ran out" in client.state.problem
        assert await client.encode(profile, "", row, 0) == first
        assert client.state.pid not in (0, pid)
        assert client.state.problem == ""
        os.kill(client.state.pid, signal.SIGSTOP)
        began_s = time.monotonic()
        await client.close()
        assert time.monotonic() - began_s < 1

    assert talk(tmp_path, steps)[-1] == ModelState()


def test_unloading_frees_everything_and_the_next_request_loads_again(tmp_path: Path, profile: str) -> None:
    async def steps(client: ModelClient) -> None:
        await client.unload()  # there is nothing yet
        assert client.state == ModelState(status="off")
        first = await last_of(client, wish(profile))
        assert client.state.device == "cpu"
        assert client.state.loaded
        pid = client.state.pid
        await client.unload()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert client.state == ModelState()
        assert (await last_of(client, wish(profile))).sides[0].candidates == first.sides[0].candidates
        assert client.state.loaded
        asked = asyncio.create_task(client.encode(profile, "", read_rows(SAMPLE).rows[0], 0))
        await asyncio.sleep(0)
        await client.unload()  # that frees the model and disturbs no tokens
        assert client.state.loaded == ""
        assert client.state.problem == ""
        assert (await asked).task == "row"

    talk(tmp_path, steps)


def test_what_a_person_can_mend_is_told(tmp_path: Path, profile: str) -> None:
    broken = {
        "train.epoch": profile.replace("[train]", "[train]\nepoch = 3"),
        "cuda": profile.replace('device = "cpu"', 'device = "cuda:77"'),
        "nowhere": "[model]\nbase = 'nowhere'\n",
    }

    async def steps(client: ModelClient) -> None:
        for is_loaded in (False, True):
            for said, text in broken.items():
                assert bool(client.state.loaded) == is_loaded
                with pytest.raises(PoemError, match=said):
                    await last_of(client, wish(text))
            assert (await last_of(client, wish(profile, count=1))).done

    talk(tmp_path, steps)


def test_a_plan_says_what_the_run_will_be(warm: Callable[[Steps], None], tiny: Tiny, run_path: Path) -> None:
    async def steps(client: ModelClient) -> None:
        plan = await client.plan(dump_profile(tiny.profile()), "")
        assert (plan.rows, plan.eval_rows, plan.dropped_rows) == (13, 5, 0)
        assert (plan.steps, plan.steps_per_epoch, plan.epochs) == (6, 4, 3)
        assert (plan.device, plan.dtype) == ("cpu", "float32")
        # q_proj 16 → 16 and up_proj 16 → 24, each with A and B of rank 2
        assert plan.trainable_parameters == 2 * (16 + 16) + 2 * (16 + 24) == started["trainable_parameters"]
        assert plan.supervised_tokens == started["supervised_tokens"]
        assert plan.disk_bytes < plan.free_bytes
        assert plan.queued_behind == ""
        assert plan.budget is not None and plan.budget.bytes == sum(plan.budget.parts.values()) > 0
        assert plan.budget.seconds is not None and plan.budget.device == plan.device

    events = [json.loads(line) for line in (run_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    started = next(event for event in events if "trainable_parameters" in event)
    warm(steps)


def test_signals_of_the_terminal_are_not_for_it(warm: Callable[[Steps], None], profile: str) -> None:
    async def steps(client: ModelClient) -> None:
        row = read_rows(SAMPLE).rows[0]
        first = await client.encode(profile, "", row, 0)
        pid = client.state.pid
        assert os.getsid(pid) == pid
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
        assert await client.encode(profile, "", row, 0) == first
        assert client.state.pid == pid

    warm(steps)


def test_the_app_s_end_loads_no_model_library() -> None:
    code = "import sys, core.client; print({'torch', 'transformers', 'numpy', 'tokenizers'} & set(sys.modules) or '[]')"
    assert subprocess.check_output([sys.executable, "-c", code], encoding="utf-8").strip() == "[]"
