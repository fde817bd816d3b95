"""The queue: its order, its list on the disk whatever is in it, the device's lock, and several processes at once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import PoemError
from core.runs import queue
from core.runs.directory import RunDirectory, create_run
from core.runs.lock import hold, lock_run
from core.runs.queue import Entry, device_name

Make = Callable[[str], RunDirectory]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory, not there yet, of a machine whose name isn't fit for a file."""
    monkeypatch.setenv("POEMTUI_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("core.runs.queue._MACHINE_ID", tmp_path / "none")
    monkeypatch.setattr("core.runs.queue.os.uname", lambda: os.uname_result(("Linux", "box/1", "6", "#1", "x86_64")))
    return tmp_path / "state"


@pytest.fixture
def make(tmp_path: Path, state: Path) -> Make:
    return lambda name: create_run(tmp_path / "runs", name=name)


def line() -> list[str]:
    """Who waits, and for what."""
    return [f"{entry.device} {entry.run.id.rpartition('-')[2]}" for entry in queue.waiting()]


def test_the_line_is_in_order_of_joining(make: Make, state: Path) -> None:
    runs = [make(name) for name in ("c", "a", "b")]
    assert queue.waiting() == ()
    for run in (*runs, runs[0]):  # who is in it keeps its place
        queue.join(run, "cpu")
    assert queue.waiting() == tuple(Entry(str(run.path), "cpu") for run in runs)
    assert line() == ["cpu c", "cpu a", "cpu b"]
    document = json.loads((state / "queue-box_1.json").read_text(encoding="utf-8"))
    assert document == {"waiting": [{"path": str(run.path), "device": "cpu"} for run in runs]}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()} == {0o600}


def test_leaving(make: Make) -> None:
    a, b = make("a"), make("b")
    queue.join(a, "cpu")
    queue.join(b, "cpu")
    assert queue.leave(a)
    assert not queue.leave(a)
    assert line() == ["cpu b"]


def test_a_path_is_the_same_from_everywhere(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    a = make("a")
    queue.join(a, "cpu")
    monkeypatch.chdir(a.path.parent)
    assert queue.leave(RunDirectory(Path(a.id)))


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems have no such names")
def test_a_path_that_is_no_text(make: Make) -> None:
    parent = os.fsdecode(os.fsencode(make("a").path.parent) + b"/\xff")
    run = create_run(Path(parent), name="b")
    queue.join(run, "cpu")
    assert [entry.run for entry in queue.waiting()] == [run]
    with lock_run(run), queue.take_turn(run, "cpu") or pytest.fail("not its turn"):
        assert queue.holders() == {"cpu": run}
    queue.leave(run)
    assert queue.waiting() == ()


@pytest.mark.parametrize(
    ("name", "place", "cpu", "cuda"),
    [
        ("c", 1, "cab", "xy"),
        ("c", 2, "acb", "xy"),
        ("c", 3, "abc", "xy"),
        ("a", 1, "abc", "xy"),
        ("a", 2, "bac", "xy"),
        ("a", 99, "bca", "xy"),
        ("x", 2, "abc", "yx"),
        ("y", 1, "abc", "yx"),
    ],
)
def test_moving_counts_the_runs_of_the_same_device(make: Make, name: str, place: int, cpu: str, cuda: str) -> None:
    runs = {}
    for each, device in (("a", "cpu"), ("x", "cuda-0"), ("b", "cpu"), ("c", "cpu"), ("y", "cuda-0")):
        runs[each] = make(each)
        queue.join(runs[each], device)
    queue.move(runs[name], place)
    assert [who for who in line() if who.startswith("cpu")] == [f"cpu {each}" for each in cpu]
    assert [who for who in line() if who.startswith("cuda")] == [f"cuda-0 {each}" for each in cuda]


def test_only_who_waits_can_be_moved(make: Make) -> None:
    a = make("a")
    with pytest.raises(PoemError, match=f"The run {a.id} is not in the queue"):
        queue.move(a, 1)


def test_turns_come_in_order_and_the_absent_hold_nobody_up(make: Make) -> None:
    a, b, c = (make(name) for name in "abc")
    for run in (a, b, c):
        queue.join(run, "cpu")
    with lock_run(b), lock_run(c):
        assert queue.take_turn(c, "cpu") is None  # b lives and is before it
        turn = queue.take_turn(b, "cpu")  # a's process is gone
        assert turn is not None
        queue.leave(b)
        assert (line(), queue.holder("cpu"), queue.holders()) == (["cpu a", "cpu c"], b.id, {"cpu": b})
        assert queue.take_turn(c, "cpu") is None  # b has the device
        with lock_run(a):
            turn.release()
            assert (queue.holder("cpu"), queue.holders()) == ("", {})
            assert queue.take_turn(c, "cpu") is None  # a has come back to the place that it kept
            with queue.take_turn(a, "cpu") or pytest.fail("not its turn"):
                assert queue.holder("cpu") == a.id
                queue.leave(a)
        with queue.take_turn(c, "cpu") or pytest.fail("not its turn"):
            assert queue.holder("cpu") == c.id
            assert line() == ["cpu c"]  # until it says that it has gone


def test_devices_don_t_wait_for_each_other(make: Make) -> None:
    a, b = make("a"), make("b")
    queue.join(a, "cuda-0")
    queue.join(b, "cuda-1")
    with lock_run(a), lock_run(b):
        first, second = queue.take_turn(a, "cuda-0"), queue.take_turn(b, "cuda-1")
        assert first is not None
        assert second is not None
        assert queue.holders() == {"cuda-0": a, "cuda-1": b}


def test_the_holder_s_name_is_never_the_rest_of_a_longer_one(make: Make) -> None:
    long, short = make("a" * 60), make("b")
    for run in (long, short):
        with queue.take_turn(run, "cpu") or pytest.fail("not its turn"):
            assert queue.holder("cpu") == run.id


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "{}", '{"waiting": 7}', '{"waiting": ["a"]}', '{"waiting": [{"path": "/"}]}', "[" * 10**5],
    ids=lambda text: text[:30] or "empty",
)
def test_a_list_that_is_garbage_is_named_and_kept(make: Make, state: Path, text: str) -> None:
    run, path = make("a"), state / "queue-box_1.json"
    state.mkdir()
    path.write_text(text, encoding="utf-8")
    for act in (lambda: queue.join(run, "cpu"), queue.waiting, lambda: queue.take_turn(run, "cpu")):
        with pytest.raises(PoemError, match="The queue can't be read") as caught:
            act()
        assert caught.value.where == str(path)
    assert path.read_text(encoding="utf-8") == text


def test_a_list_that_is_no_text(make: Make, state: Path) -> None:
    make("a")
    state.mkdir()
    (state / "queue-box_1.json").write_bytes(b"\xff\xfe")
    with pytest.raises(PoemError, match="The queue can't be read"):
        queue.waiting()


@pytest.mark.parametrize("path", ["/gone", "", ".", "a\0b", "/etc/passwd", "/" + "x" * 5000, "~"], ids=lambda p: p[:10])
def test_runs_that_are_gone_are_left_out(make: Make, state: Path, path: str) -> None:
    run = make("a")
    state.mkdir()
    entries = [{"path": path, "device": "cpu"}, {"path": str(run.path), "device": "cpu", "more": 1}]
    (state / "queue-box_1.json").write_text(json.dumps({"waiting": entries}), encoding="utf-8")
    assert queue.waiting() == (Entry(str(run.path), "cpu"),)
    with queue.take_turn(run, "cpu") or pytest.fail("not its turn"):
        assert line() == ["cpu a"]


def test_a_run_on_a_disk_that_is_away_keeps_its_place(make: Make, state: Path, tmp_path: Path) -> None:
    run = make("a")
    queue.join(run, "cpu")
    disk = run.path.parent
    disk.rename(tmp_path / "away")
    queue.join(create_run(tmp_path / "others", name="b"), "cpu")
    (tmp_path / "away").rename(disk)
    assert line() == ["cpu a", "cpu b"]


def test_a_run_is_the_same_by_any_way_to_it(make: Make, tmp_path: Path) -> None:
    run = make("a")
    (tmp_path / "alias").symlink_to(run.path.parent, target_is_directory=True)
    queue.join(RunDirectory(tmp_path / "alias" / run.id), "cpu")
    with lock_run(run):
        assert queue.take_turn(run, "cpu") is not None
    assert queue.leave(run)


def test_an_entry_whose_lock_can_t_be_looked_at_holds_nobody_up(make: Make) -> None:
    a, b = make("a"), make("b")
    a.lock_path.symlink_to("/etc/passwd")
    for run in (a, b):
        queue.join(run, "cpu")
    assert queue.take_turn(b, "cpu") is not None


def test_a_machine_is_known_by_its_id(make: Make, state: Path, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    queue.join(make("a"), "cpu")
    assert sorted(path.name for path in state.iterdir()) == ["queue-0123456789ab.json", "queue-0123456789ab.lock"]


def test_another_machine_that_shares_the_home_has_its_own_queue(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.join(make("a"), "cpu")
    monkeypatch.setattr("core.runs.queue.os.uname", lambda: os.uname_result(("Linux", "box-2", "6", "#1", "x86_64")))
    assert queue.waiting() == ()


def test_the_state_directory_of_the_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POEMTUI_STATE")
    monkeypatch.setattr("platformdirs.user_state_dir", lambda name, appauthor: str(tmp_path / "state" / name))
    assert queue.state_directory() == tmp_path / "state" / "poemtui"
    assert (tmp_path / "state" / "poemtui").is_dir()


@pytest.mark.parametrize("kind", ["link", "world-writable", "file", "dangling link"])
def test_a_state_directory_that_can_t_be_trusted_is_refused(make: Make, state: Path, kind: str) -> None:
    elsewhere = make("a").path.parent
    match kind:
        case "link" | "dangling link":
            state.symlink_to(elsewhere if kind == "link" else elsewhere / "gone", target_is_directory=True)
        case "world-writable":
            state.mkdir()
            state.chmod(0o777)
        case "file":
            state.touch()
    with pytest.raises(PoemError) as caught:
        queue.waiting()
    assert (
        caught.value.message
        == {
            "link": "This is a symbolic link, and links are not followed here.",
            "world-writable": (
                "Every user of this machine may write in this directory, so what is in it can't be trusted."
            ),
            "file": "The directory of the queue can't be made: File exists.",
            "dangling link": "The directory of the queue can't be made: File exists.",
        }[kind]
    )
    assert caught.value.where == str(state)
    assert not (elsewhere / "gone").exists()


def test_a_queue_that_hangs_is_named(make: Make, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_EDIT_PATIENCE_S", 0)
    state.mkdir()
    with hold(state / "queue-box_1.lock") or pytest.fail("not held"):
        with pytest.raises(queue.Busy, match="in use by another process"):
            queue.join(make("a"), "cpu")
        assert queue.waiting() == ()  # looking needs no lock


# When told to, puts the runs that are named in line, then takes every second of them out of it.
EDITOR = """
import sys
from pathlib import Path
from core.runs import queue
from core.runs.directory import RunDirectory
runs = [RunDirectory(Path(path)) for path in sys.argv[1:]]
print("ready", flush=True)
sys.stdin.readline()
for run in runs:
    queue.join(run, "cpu")
for run in runs[::2]:
    assert queue.leave(run)
"""


def test_two_processes_that_edit_at_once_lose_nothing(tmp_path: Path) -> None:
    runs = [create_run(tmp_path, name=f"r{number}") for number in range(40)]
    halves = runs[:20], runs[20:]
    editors = [
        subprocess.Popen(
            [sys.executable, "-c", EDITOR, *(str(run.path) for run in half)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parent.parent,
        )
        for half in halves
    ]
    for editor in editors:
        assert editor.stdout is not None
        assert editor.stdout.readline() == b"ready\n"
    for editor in editors:
        assert editor.stdin is not None
        editor.stdin.write(b"\n")
        editor.stdin.flush()
    for editor in editors:
        editor.communicate()
        assert editor.returncode == 0
    left = [entry.run for entry in queue.waiting()]
    for half in halves:
        assert [run for run in left if run in half] == half[1::2]


@pytest.mark.parametrize(
    ("wanted", "visible", "name"),
    [
        ("cpu", None, "cpu"),
        ("mps", None, "mps"),
        ("cuda", None, "cuda-0"),
        ("cuda:1", None, "cuda-1"),
        ("cuda", "", "cuda-0"),
        ("cuda", "3", "cuda-3"),
        ("cuda:0", " 3 , 5 ", "cuda-3"),
        ("cuda:1", "3,5", "cuda-5"),
        ("cuda:2", "3,5", "cuda-2"),
        ("cuda", "GPU-6f1c-08", "cuda-GPU-6f1c-08"),
        ("cuda", "MIG-GPU-6f/1/0", "cuda-MIG-GPU-6f_1_0"),
        ("cuda", "../../etc/passwd", "cuda-.._.._etc_passwd"),
        ("cpu", "3", "cpu"),
    ],
)
def test_device_name(monkeypatch: pytest.MonkeyPatch, wanted: str, visible: str | None, name: str) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device_name(wanted) == name


@pytest.mark.parametrize(
    ("platform", "torch", "driver", "visible", "name"),
    [
        ("darwin", "2.13.0", False, None, "mps"),
        ("linux", "2.13.0", True, None, "cuda-0"),
        ("linux", "2.13.0+cu128", True, "1", "cuda-1"),
        ("linux", "2.13.0+cu128", True, "", "cpu"),
        ("linux", "2.13.0+cu128", True, "-1", "cpu"),
        ("linux", "2.13.0+cpu", True, None, "cpu"),
        ("linux", "2.13.0", False, None, "cpu"),
    ],
)
def test_the_device_that_auto_leads_to(
    monkeypatch: pytest.MonkeyPatch, platform: str, torch: str, driver: bool, visible: str | None, name: str
) -> None:
    monkeypatch.setattr("core.runs.queue.sys.platform", platform)
    monkeypatch.setattr("importlib.metadata.version", lambda _name: torch)
    monkeypatch.setattr(Path, "exists", lambda path: driver and str(path) == "/dev/nvidiactl")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device_name("auto") == name
