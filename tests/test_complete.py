"""`poemcore complete` on a tiny model folder, an adapter and a run directory made here."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.data.recipe import Task
from core.generation.prompt import make_completion_example, trained_instruction
from core.generation.source import adapter_of, find_source
from core.profile.schema import Profile
from core.runs.directory import RunDirectory

COUPLET = "白日依山盡，黃河入海流。"
SAMPLE_INSTRUCTION = "以下是一首唐詩的第一句話，請用你的知識判斷並完成整首詩。"
RUN_ID = "20261124-041530-tiny"
GENERATION = "[generation]\nmax_new_tokens = 8\ntemperature = 1.0\ntop_p = 1.0\nno_repeat_ngram_size = 0\nseed = 5\n"


@dataclass(frozen=True, slots=True)
class Place:
    base: Path
    profile: Path
    runs: Path
    run: Path


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from core.model.verse_tokenizer import save_tokenizer, train_tokenizer

    folder = tmp_path_factory.mktemp("complete")
    base = folder / "base"
    base.mkdir()
    tokenizer = train_tokenizer([COUPLET + "欲窮千里目，更上一層樓。"], [SAMPLE_INSTRUCTION], vocab_size=500)
    save_tokenizer(tokenizer, base)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.3,
        )
        model = Qwen2ForCausalLM(config)
        model.save_pretrained(base)
        lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        adapted: Any = get_peft_model(model, lora)
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    run = folder / "runs" / RUN_ID
    adapted.save_pretrained(run / "adapter")
    text = f'[model]\nbase = "{base}"\n[data]\ntemplate = "chatml"\n{GENERATION}'
    (run / "profile.toml").write_text(text, encoding="utf-8")
    (run / "manifest.json").write_text(json.dumps({"instruction": "續寫。"}), encoding="utf-8")
    profile = folder / "tiny.toml"
    profile.write_text(text, encoding="utf-8")
    return Place(base, profile, folder / "runs", run)


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code = main(["complete", *arguments, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    found: dict[str, Any] = json.loads(captured.out)
    return found


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main(["complete", *arguments])
    captured = capsys.readouterr()
    assert code == 2, captured
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


def chat(instruction: str, text: str) -> str:
    return f"<|im_start|>user\n{instruction}\n{text}<|im_end|>\n<|im_start|>assistant\n"


def test_the_three_sources(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    by_run = document(capsys, COUPLET, "--run", "last", "--runs-dir", str(place.runs))
    assert set(by_run) == {"prompt", "completions", "model", "adapter"}
    assert by_run["prompt"] == chat("續寫。", COUPLET)
    assert (by_run["model"], by_run["adapter"]) == (str(place.base), str(place.run / "adapter"))
    (completion,) = by_run["completions"]
    assert set(completion) == {"text", "seed", "tokens", "stop", "seconds"}
    assert completion["seed"] == 5

    # The adapter of a run uses the run's profile and instruction.
    by_adapter = document(capsys, COUPLET, "--adapter", str(place.run / "adapter"))
    by_profile = document(capsys, COUPLET, "--profile", str(place.profile))
    assert by_adapter["completions"][0]["text"] == completion["text"]
    assert by_adapter["prompt"] == by_run["prompt"]
    assert by_profile["prompt"] == chat(SAMPLE_INSTRUCTION, COUPLET)
    assert by_profile["adapter"] is None


def test_base_only_leaves_the_adapter_off(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [COUPLET, "--run", "last", "--runs-dir", str(place.runs), "--temperature", "0"]
    tuned, base = document(capsys, *arguments), document(capsys, *arguments, "--base-only")
    alone = document(capsys, COUPLET, "--profile", str(place.profile), "--temperature", "0", "--instruction", "續寫。")
    assert base["adapter"] is None
    assert base["completions"][0]["text"] == alone["completions"][0]["text"] != tuned["completions"][0]["text"]


def test_an_adapter_outside_a_run_names_its_base(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / name).write_bytes((place.run / "adapter" / name).read_bytes())
    found = document(
        capsys, COUPLET, "--adapter", str(tmp_path), "--max-new-tokens", "3", "--set", "data.template=chatml"
    )
    assert found["model"] == str(place.base)
    assert found["prompt"] == chat(SAMPLE_INSTRUCTION, COUPLET)
    assert found["completions"][0]["tokens"] <= 3


def test_a_seed_is_the_same_poem_whatever_the_count(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [COUPLET, "--profile", str(place.profile)]
    three = document(capsys, *arguments, "--count", "3", "--seed", "1")["completions"]
    assert [completion["seed"] for completion in three] == [1, 2, 3]
    (second,) = document(capsys, *arguments, "--seed", "2")["completions"]
    assert second["text"] == three[1]["text"]
    assert len({completion["text"] for completion in three}) == 3


def test_flags_go_before_set_and_set_before_the_profile(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [COUPLET, "--profile", str(place.profile), "--set", "generation.seed=7"]
    assert document(capsys, *arguments)["completions"][0]["seed"] == 7
    assert document(capsys, *arguments, "--seed", "8")["completions"][0]["seed"] == 8


def test_people_read_the_same_text(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    from core.plain import plain

    arguments = [COUPLET, "--profile", str(place.profile), "--count"]
    texts = [item["text"] for item in document(capsys, *arguments, "2")["completions"]]
    assert main(["complete", *arguments, "1"]) == 0
    assert capsys.readouterr().out == COUPLET + plain(texts[0], keep_newlines=True) + "\n"
    assert main(["complete", *arguments, "2"]) == 0
    shown = [plain(text, keep_newlines=True) for text in texts]
    assert capsys.readouterr().out == f"{COUPLET}\n5\t{shown[0]}\n6\t{shown[1]}\n"


def test_a_conversion_is_offered_and_taken_only_when_asked(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["complete", "白日依山尽,黄河入海流.", "--profile", str(place.profile), "--json"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["prompt"] == chat(SAMPLE_INSTRUCTION, "白日依山尽,黄河入海流.")
    assert COUPLET in captured.err
    assert "--convert" in captured.err
    assert main([*arguments, "--convert"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["prompt"] == chat(SAMPLE_INSTRUCTION, COUPLET)
    assert COUPLET in captured.err
    assert main(["complete", COUPLET, "--profile", str(place.profile), "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_standard_input(place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stdin(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))

    stdin(f"\ufeff{COUPLET}\r\n".encode())
    assert document(capsys, "-", "--profile", str(place.profile))["prompt"] == chat(SAMPLE_INSTRUCTION, COUPLET)
    stdin("白日".encode("gbk"))
    assert "not UTF-8: byte 0xB0 at position 0" in refusal(capsys, "-", "--profile", str(place.profile))
    stdin(b"a" * 1_000_001)
    assert "more than 1 MB" in refusal(capsys, "-", "--profile", str(place.profile))
    stdin(b"\n")
    assert "empty" in refusal(capsys, "-", "--profile", str(place.profile))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([COUPLET], ["--run", "--adapter", "--profile"]),
        ([COUPLET, "--run", "last", "--profile", "tang-tiny-cpu"], ["--run"]),
        ([COUPLET, "--run", "last", "--runs-dir", "nowhere"], ["no runs"]),
        ([COUPLET, "--adapter", "nowhere"], ["adapter_config.json"]),
        ([COUPLET, "--profile", "tang-tiny-cpy"], ["tang-tiny-cpu"]),
        (["  ", "--profile", "tang-tiny-cpu"], ["empty"]),
        (["白\x1b日", "--profile", "tang-tiny-cpu"], ["character 2", "U+001B"]),
        (["白\udc80日", "--profile", "tang-tiny-cpu"], ["U+DC80"]),
        ([COUPLET, "--profile", "tang-tiny-cpu", "--temperature", "11"], ["generation.temperature", "10"]),
        ([COUPLET, "--profile", "tang-tiny-cpu", "--top-p", "0"], ["generation.top_p"]),
        ([COUPLET, "--profile", "tang-tiny-cpu", "--count", "many"], ["generation.count"]),
        ([COUPLET, "--profile", "tang-tiny-cpu", "--seed", "-1"], ["generation.seed"]),
        ([COUPLET, "--profile", "tang-tiny-cpu", "--instruction", ""], ["--instruction"]),
    ],
)
def test_what_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]) -> None:
    message = refusal(capsys, *arguments)
    for word in words:
        assert word in message


def test_a_text_longer_than_the_model_takes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, "山" * 100_000, "--profile", str(place.profile))
    assert "takes 256" in message


def test_a_run_without_an_adapter_and_one_with_checkpoints(place: Place, tmp_path: Path) -> None:
    from core.errors import PoemError

    run = RunDirectory(tmp_path / RUN_ID)
    run.path.mkdir()
    with pytest.raises(PoemError, match="no adapter yet"):
        adapter_of(run)
    for step in (90, 1_000_000, 200):
        folder = run.checkpoint_path(step) / "adapter"
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_bytes((place.run / "adapter" / "adapter_config.json").read_bytes())
        (folder / "adapter_model.safetensors").touch()
    run.profile_path.write_bytes(place.profile.read_bytes())
    newest = run.checkpoint_path(1_000_000) / "adapter"
    assert adapter_of(run) == newest
    source = find_source(runs_dir=tmp_path, adapter=newest)
    assert source.trained_in == RunDirectory(run.path.resolve())
    assert source.profile.generation.seed == 5


def test_the_prompt_is_that_of_a_training_row() -> None:
    profile = Profile()
    example = make_completion_example("{山}", profile, "續寫。")
    assert (example.row, example.task, example.instruction, example.input, example.output) == (
        -1,
        "row",
        "續寫。",
        "{山}",
        "",
    )


def test_the_first_task_that_asks_for_the_rest_gives_the_instruction() -> None:
    tasks = (
        Task("style", "模仿{author}。", None, None, 1.0),
        Task("explain", "解釋。", "{input}{output}", "{explanation}", 1.0),
        Task("never", "不。", None, None, 0.0),
        Task("rest", "請續寫：", "「{input}」", None, 1.0),
    )
    profile = Profile()
    profile = replace(profile, data=replace(profile.data, tasks=tasks, system_prompt="詩人"))
    example = make_completion_example("山", profile, "own")
    assert (example.task, example.system_prompt, example.instruction, example.input) == (
        "rest",
        "詩人",
        "請續寫：",
        "「山」",
    )
    assert make_completion_example("山", profile, "asked", "asked").instruction == "asked"
    only_style = replace(profile, data=replace(profile.data, tasks=tasks[:1]))
    assert make_completion_example("山", only_style, "own").instruction == "own"


@pytest.mark.parametrize("manifest", [None, "[1]", '{"instruction": 3}', "[" * 100_000])
def test_without_a_manifest_s_instruction_it_is_the_sample_s(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    assert trained_instruction(RunDirectory(tmp_path)) == SAMPLE_INSTRUCTION
    assert trained_instruction(None) == SAMPLE_INSTRUCTION
