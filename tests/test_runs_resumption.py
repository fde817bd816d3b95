"""Making a run ready to go on: what may change is changed and recorded, what may not leaves everything as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import PoemError
from core.profile.document import check_text, load_profile
from core.runs.checkpoints import STATE_FILE, checkpoints, seal
from core.runs.directory import RunDirectory
from core.runs.event_log import EventLog, iter_events
from core.runs.events import Event, RunFailed, RunFinished, RunStopped, SettingChanged
from core.runs.launch import submit
from core.runs.resumption import make_resumable, meet_wanted_step, wanted_step
from core.runs.view import view_run


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run of 12 steps that was stopped at 8."""
    profile, _problems = check_text("[train]\nepochs = 2\nmax_steps = 12\nsample_every = 0\n")
    assert profile is not None
    made = submit(profile, tmp_path, name="tang")
    end_with(made, RunStopped(8, "stop"))
    for step in (4, 8):
        folder = made.checkpoint_path(step)
        folder.mkdir(parents=True)
        (folder / STATE_FILE).write_text(json.dumps({"step": step}), encoding="utf-8")
        seal(folder)
    return made


def end_with(run: RunDirectory, event: Event) -> None:
    with EventLog(run.events_path) as log:
        log.append(event)


def changed(run: RunDirectory) -> list[SettingChanged]:
    return [event for event, _time_s in iter_events(run.events_path) if isinstance(event, SettingChanged)]


def contents(run: RunDirectory) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_without_changes_nothing_is_written(run: RunDirectory) -> None:
    before = contents(run)
    make_resumable(run, overrides=[], from_step=None)
    make_resumable(run, overrides=["train.epochs=2"], from_step=None)
    assert contents(run) == before


def test_what_may_change_is_changed_and_recorded(run: RunDirectory) -> None:
    make_resumable(run, overrides=["train.max_steps=20", "train.eval_every=5", "notify.command="], from_step=None)
    train = load_profile(str(run.profile_path)).train
    assert (train.max_steps, train.eval_every, train.epochs) == (20, 5, 2)
    assert [(event.step, event.key, event.after) for event in changed(run)] == [
        (8, "train.max_steps", "20"),
        (8, "train.eval_every", "5"),
    ]
    assert changed(run)[0].before == "12"
    assert view_run(run).status == "stopped"
    make_resumable(run, overrides=["train.max_steps=30"], from_step=4)
    assert changed(run)[2] == SettingChanged(4, "train.max_steps", "20", "30")


def test_the_profile_in_force_is_returned(run: RunDirectory) -> None:
    assert make_resumable(run, overrides=[], from_step=None) == load_profile(str(run.profile_path))
    assert make_resumable(run, overrides=["train.max_steps=20"], from_step=None).train.max_steps == 20


def test_the_step_to_go_on_from_is_kept_until_it_is_met(run: RunDirectory) -> None:
    assert wanted_step(run) is None
    make_resumable(run, overrides=[], from_step=4)
    assert wanted_step(run) == 4
    assert [item.step for item in checkpoints(run)] == [4, 8]
    make_resumable(run, overrides=[], from_step=None)
    assert wanted_step(run) is None
    make_resumable(run, overrides=[], from_step=0)
    assert wanted_step(run) == 0
    assert meet_wanted_step(run, 4) == [8]
    assert [item.step for item in checkpoints(run)] == [4]
    assert wanted_step(run) is None
    assert meet_wanted_step(run, 4) == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"from_step": "4"}', '{"from_step": 4.0}', "[" * 10**5])
def test_a_wish_that_can_t_be_read_is_no_wish_for_the_newest(run: RunDirectory, text: str) -> None:
    (run.path / "resume.json").write_text(text, encoding="utf-8")
    with pytest.raises(PoemError, match=r"resume\.json can't be read"):
        wanted_step(run)


def test_before_the_first_checkpoint_the_step_is_none(run: RunDirectory) -> None:
    make_resumable(run, overrides=["train.max_steps=20"], from_step=0)
    assert [event.step for event in changed(run)] == [0]


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["train.learning_rate=5e-5"], "train.learning_rate"),
        (["train.batch_size=256", "train.epochs=9"], "train.batch_size"),
        (["train.seed=1"], "train.seed"),
        (["lora.r=4"], "lora.r"),
        (["model.base=elsewhere"], "model.base"),
        (["model.device=cpu"], "model.device"),
        (["data.path=elsewhere.jsonl"], "data.path"),
        (["generation.temperature=2"], "generation.temperature"),
    ],
)
def test_anything_else_is_refused_and_nothing_is_written(run: RunDirectory, overrides: list[str], key: str) -> None:
    before = contents(run)
    with pytest.raises(PoemError, match="a run keeps what it began with") as caught:
        make_resumable(run, overrides=overrides, from_step=None)
    assert f" {key} " in caught.value.message
    assert "train.epochs" not in caught.value.message
    assert caught.value.where == run.id
    assert contents(run) == before


@pytest.mark.parametrize("override", ["train.epochs=0", "train.epoch=3", "epochs", "train.max_steps=many"])
def test_a_value_that_is_none_is_told_as_everywhere(run: RunDirectory, override: str) -> None:
    before = contents(run)
    with pytest.raises(PoemError):
        make_resumable(run, overrides=[override], from_step=None)
    assert contents(run) == before


def test_a_finished_run_goes_on_only_when_it_is_made_longer(run: RunDirectory) -> None:
    end_with(run, RunFinished(12, 5.0, 4.0, "adapter"))
    before = contents(run)
    for overrides in ([], ["train.eval_every=5"], ["train.epochs=2"]):
        with pytest.raises(PoemError, match="the run is finished") as caught:
            make_resumable(run, overrides=overrides, from_step=None)
        assert "--set train.epochs=N" in caught.value.hint
    assert contents(run) == before
    make_resumable(run, overrides=["train.max_steps=24"], from_step=None)
    assert changed(run) == [SettingChanged(8, "train.max_steps", "12", "24")]


@pytest.mark.parametrize("last", [RunFailed("no memory", "", ""), RunStopped(8, "SIGTERM")])
def test_a_run_that_failed_or_was_stopped_goes_on_as_it_is(run: RunDirectory, last: Event) -> None:
    end_with(run, last)
    make_resumable(run, overrides=[], from_step=None)


def test_a_damaged_checkpoint_is_seen_before_anything_is_written(run: RunDirectory) -> None:
    (run.checkpoint_path(8) / STATE_FILE).unlink()
    before = contents(run)
    with pytest.raises(PoemError, match=r"the checkpoint of step 8 can't be resumed") as caught:
        make_resumable(run, overrides=["train.max_steps=20"], from_step=None)
    assert caught.value.hint.endswith("--from 4")
    with pytest.raises(PoemError, match="has no checkpoint of step 6"):
        make_resumable(run, overrides=["train.max_steps=20"], from_step=6)
    assert contents(run) == before
    make_resumable(run, overrides=["train.max_steps=20"], from_step=4)
    assert changed(run) == [SettingChanged(4, "train.max_steps", "12", "20")]


def test_a_run_without_a_profile_is_named(run: RunDirectory) -> None:
    run.profile_path.unlink()
    with pytest.raises(PoemError) as caught:
        make_resumable(run, overrides=[], from_step=None)
    assert str(run.profile_path) in str(caught.value)


def test_a_run_that_everybody_may_write_in_is_refused(run: RunDirectory) -> None:
    run.path.chmod(0o777)
    before = contents(run)
    with pytest.raises(PoemError, match="Every user of this machine may write"):
        make_resumable(run, overrides=["train.max_steps=20"], from_step=None)
    assert contents(run) == before
