"""How the model process meets requests, in this process: tokens, plans, completions, and what stays in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.data.rows import SAMPLE, read_rows
from core.errors import PoemError, WorkError
from core.profile.document import dump_profile
from core.serve_protocol import CompletionRequest, EncodedRow, Written, encoded_from, written_from
from tests.tiny import Tiny, make_tiny

COUPLET = "白日依山盡，黃河入海流。"
SAMPLING = "[generation]\nmax_new_tokens = 12\ntemperature = 1.0\ntop_p = 1.0\nno_repeat_ngram_size = 0\n"


@dataclass(frozen=True, slots=True)
class Place:
    tiny: Tiny
    runs: Path
    """Holds two runs with adapters: `plain`, and `biased`, which changes the base's own biases too."""

    def profile(self, *overrides: str) -> str:
        return dump_profile(self.tiny.profile(*overrides))

    def asked(self, run: str = "", *, with_base: bool = False, count: int = 2, profile: str = "") -> dict[str, Any]:
        request = CompletionRequest(
            text=COUPLET,
            profile=profile or SAMPLING + f'[model]\nbase = "{self.tiny.base}"\n[data]\ntemplate = "chatml"\n',
            base_dir="",
            run=str(self.runs / run) if run else "",
            with_base=with_base,
            count=count,
            seed=5,
            instruction="續寫。",
            convert=False,
        )
        from core.serve_protocol import fields_of

        return {"kind": "complete", "request": fields_of(request)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("serve")
    tiny = make_tiny(folder)
    for name, bias in (("plain", "none"), ("biased", "all")):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            base = AutoModelForCausalLM.from_pretrained(tiny.base, local_files_only=True)
            lora = LoraConfig(
                r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False, bias=bias, task_type="CAUSAL_LM"
            )
            model: Any = get_peft_model(base, lora)
            for parameter_name, parameter in model.named_parameters():
                if parameter_name.endswith("bias"):
                    parameter.data.normal_()
        model.peft_config["default"].base_model_name_or_path = str(tiny.base)
        run = folder / "runs" / f"20261124-041530-{name}"
        model.save_pretrained(run / "adapter", save_embedding_layers=False)
        (run / "profile.toml").write_text(dump_profile(tiny.profile()), encoding="utf-8")
    return Place(tiny, folder / "runs")


@dataclass(slots=True)
class Bench:
    """A warm model and what it said of its state."""

    warm: Any
    states: list[dict[str, Any]]

    def last(self, request: dict[str, Any], check: Callable[[], None] = lambda: None) -> dict[str, Any]:
        return list(self.warm.meet(request, check))[-1]

    def written(self, request: dict[str, Any]) -> Written:
        return written_from(self.last(request))


@pytest.fixture
def bench(place: Place) -> Iterator[Bench]:
    from core.serve_work import Warm

    states: list[dict[str, Any]] = []
    yield Bench(Warm(place.runs, lambda **state: states.append(state)), states)


def texts(written: Written) -> dict[str, list[str]]:
    return {side.name: [candidate.text for candidate in side.candidates] for side in written.sides}


PLAIN, BIASED = "20261124-041530-plain", "20261124-041530-biased"


def test_tokens_are_those_of_the_command_line(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", SAMPLE, "--row", "139", "--epoch", "2", "--profile", "tang-tiny-cpu", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    row = read_rows(SAMPLE).rows[139]
    fields = {**{name: getattr(row, name) for name in ("number", "instruction", "input", "output")}, "extra": row.extra}
    from core.profile.document import preset_text

    asked = {"kind": "encode", "profile": preset_text("tang-tiny-cpu"), "row": fields, "epoch": 2}
    encoded: EncodedRow = encoded_from(bench.last(asked))
    assert list(encoded.ids) == expected["ids"]
    assert (encoded.supervised_from, encoded.task, encoded.prompt, encoded.over_cutoff) == (
        expected["supervised_from"],
        expected["task"],
        expected["prompt"],
        0,
    )
    assert "".join(encoded.tokens[encoded.supervised_from :]) == "欲窮千里目，更上一層樓。<|im_end|>"
    assert bench.warm._base is None
    # The second time nothing is loaded, so nothing is said.
    said = len(bench.states)
    bench.last(asked)
    assert len(bench.states) == said


def test_a_row_beyond_the_cutoff_is_shown_whole(place: Place, bench: Bench) -> None:
    row = {"number": 0, "instruction": "", "input": "", "output": "山" * 300, "extra": {}}
    encoded = encoded_from(
        bench.last({"kind": "encode", "profile": place.profile("data.cutoff_len=8"), "row": row, "epoch": 0})
    )
    assert encoded.over_cutoff == len(encoded.ids) - 8 == len(encoded.tokens) - 8
    assert all(encoded.tokens)


def test_completions_are_those_of_the_decoder(place: Place, bench: Bench) -> None:
    from core.encoding.encode import make_encoder
    from core.generation.decode import Completion, complete, sampling_of
    from core.generation.prompt import make_completion_example
    from core.model.load import load_base
    from core.model.lora import load_adapter
    from core.profile.document import check_text

    base = load_base(str(place.tiny.base), device="cpu")
    profile, _problems = check_text(SAMPLING + '[data]\ntemplate = "chatml"\n')
    assert profile is not None
    encoder = make_encoder(base.tokenizer, template="chatml")
    prompt = encoder.prompt_ids(make_completion_example(COUPLET, profile, "續寫。", "續寫。"))

    def written_by(model: Any) -> list[Completion]:
        stream = complete(
            model,
            base.tokenizer,
            prompt,
            end_ids=encoder.end_ids,
            sampling=sampling_of(profile.generation),
            seeds=range(5, 7),
        )
        return sorted((item for item in stream if isinstance(item, Completion)), key=lambda item: item.candidate)

    of_base = written_by(base.model)
    of_adapter = written_by(load_adapter(base, place.runs / PLAIN / "adapter"))
    both = bench.written(place.asked(PLAIN, with_base=True))
    assert both.done
    assert both.prompt_tokens == len(prompt)
    assert [side.name for side in both.sides] == ["adapter", "base"]
    for side, expected in zip(both.sides, (of_adapter, of_base), strict=True):
        assert [(c.text, c.done, c.tokens, c.stop, c.seed) for c in side.candidates] == [
            (item.text, True, item.tokens, item.stop, item.seed) for item in expected
        ]
        assert side.tokens_per_s > 0
    assert texts(both)["adapter"] != texts(both)["base"]


def test_adapters_come_and_go_and_the_base_stays_as_it_is(
    place: Place, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = texts(bench.written(place.asked()))
    base = bench.warm._base
    biased = texts(bench.written(place.asked(BIASED, with_base=True)))
    assert biased["base"] == before["base"] != biased["adapter"]
    assert texts(bench.written(place.asked())) == before
    plain = texts(bench.written(place.asked(PLAIN, with_base=True)))
    assert plain["base"] == before["base"]
    assert plain["adapter"] not in (biased["adapter"], before["base"])
    assert texts(bench.written(place.asked(BIASED)))["adapter"] == biased["adapter"]
    assert texts(bench.written(place.asked())) == before
    assert bench.warm._base is base

    # An adapter that fails halfway leaves nothing of itself.
    def fail(*_arguments: Any) -> None:
        raise PoemError("no")

    with monkeypatch.context() as patch:
        patch.setattr("core.serve_work.load_adapter", fail)
        with pytest.raises(PoemError):
            bench.written(place.asked(PLAIN))
    assert texts(bench.written(place.asked())) == before


def test_snapshots_hold_everything_so_far(place: Place, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.serve_work._SNAPSHOTS_PER_S", 10**9)
    written = [written_from(fields) for fields in bench.warm.meet(place.asked(count=3), lambda: None)]
    assert [item.done for item in written] == [False] * (len(written) - 1) + [True]
    for earlier, later in zip(written, written[1:], strict=False):
        for old, new in zip(earlier.sides[0].candidates, later.sides[0].candidates, strict=True):
            assert new.text.startswith(old.text)
            assert new.tokens >= old.tokens
    assert written[1].sides[0].candidates[0].tokens == 1


def test_a_completion_that_is_wanted_no_more_ends_before_its_next_token(place: Place, bench: Bench) -> None:
    class Unwanted(Exception):
        pass

    bench.written(place.asked())
    forwards = 0

    def count(_module: Any, _arguments: Any, _output: Any) -> None:
        nonlocal forwards
        forwards += 1

    def check() -> None:
        if forwards == 3:
            raise Unwanted

    hook = bench.warm._base.model.register_forward_hook(count)
    with pytest.raises(Unwanted):
        bench.last(place.asked(PLAIN, with_base=True), check)
    hook.remove()
    assert forwards == 3
    assert len(bench.warm._base.model._forward_pre_hooks) == 0


def test_where_memory_runs_out_the_model_is_let_go(place: Place, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    bench.written(place.asked())
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ):
        bench.written(place.asked())
        assert bench.warm._base is not None
        told = bench.warm.judge(error)
        assert isinstance(told, WorkError)
        assert told.hint
        assert bench.warm._base is None
    bench.written(place.asked())
    assert "KeyError" in bench.warm.judge(KeyError("x")).message
    assert bench.warm._base is not None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"text": "  "}, "empty"),
        ({"text": "白\udc80日"}, "U\\+DC80"),
        ({"run": "/nowhere/20261124-041530-x"}, "."),
        ({"profile": "[model]\nbase = 3\n"}, "base"),
        ({"profile": "", "run": ""}, "which model"),
    ],
)
def test_what_is_refused(place: Place, bench: Bench, asked: dict[str, Any], words: str) -> None:
    request = place.asked()
    request["request"].update(asked)
    with pytest.raises(PoemError, match=words):
        bench.last(request)
