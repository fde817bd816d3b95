"""What the app's end of the model process bears: an end that dies, hangs, floods its console, or never starts."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.client import ModelClient, ModelGone, ModelState
from core.data.rows import SAMPLE, Row, read_rows
from core.errors import PoemError

ROW = read_rows(SAMPLE).rows[139]
PROFILE = '[data]\ntemplate = "chatml"\n'


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program of the test's own in the place of the model process."""

    def put(code: str) -> None:
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\nimport os, sys, time\n{code}\n", encoding="utf-8")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr("core.client.sys.executable", str(script))

    return put


def with_client(tmp_path: Path, deed: Callable[[ModelClient], Awaitable[None]]) -> list[ModelState]:
    """Do something with a client in an event loop of its own, in which nothing may be left over."""
    states: list[ModelState] = []
    complaints: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        client = ModelClient(states.append, runs_dir=tmp_path / "runs")
        try:
            await deed(client)
        finally:
            await client.close()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []

    asyncio.run(main())
    assert complaints == []
    return states


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_ends_at_once_says_why(tmp_path: Path, stand_in: Callable[[str], None]) -> None:
    stand_in('sys.stderr.write("first\\nno such \\x1b[31mlibrary\\n"); sys.exit(3)')

    async def deed(client: ModelClient) -> None:
        for _time in range(2):  # the second request starts it again, and is told the same
            with pytest.raises(ModelGone) as told:
                await client.encode(PROFILE, str(tmp_path), ROW, 0)
            assert "3" in told.value.message
            assert "no such ␛[31mlibrary" in told.value.message
        assert client.state.status == "off"
        assert client.state.problem
        assert "first" in client.console()

    states = with_client(tmp_path, deed)
    assert [state.status for state in states[:2]] == ["starting", "off"]


def test_a_program_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.client.sys.executable", str(tmp_path / "nothing"))

    async def deed(client: ModelClient) -> None:
        with pytest.raises(ModelGone):
            await client.encode(PROFILE, str(tmp_path), ROW, 0)
        assert client.state.status == "off"

    with_client(tmp_path, deed)


def test_a_hung_process_is_closed_in_time_with_requests_in_hand(
    tmp_path: Path, stand_in: Callable[[str], None]
) -> None:
    # It never reads: the pipe of requests fills up, and even a cancelled request must not wait for it.
    stand_in("time.sleep(600)")
    long_row = Row(0, "", "山" * 200_000, "水", {})

    async def deed(client: ModelClient) -> None:
        asked = [asyncio.create_task(client.encode(PROFILE, str(tmp_path), long_row, 0)) for _ in range(3)]
        while not client.state.pid:
            await asyncio.sleep(0)
        asked[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asked[0], 0.5)
        pid = client.state.pid
        began_s = time.monotonic()
        await client.close()
        assert time.monotonic() - began_s < 0.5
        assert not is_alive(pid)
        assert all(isinstance(end, PoemError) for end in await asyncio.gather(*asked[1:], return_exceptions=True))

    with_client(tmp_path, deed)


def test_closing_while_it_starts_leaves_no_process(tmp_path: Path, stand_in: Callable[[str], None]) -> None:
    stand_in(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)")

    async def deed(client: ModelClient) -> None:
        asked = asyncio.create_task(client.encode(PROFILE, str(tmp_path), ROW, 0))
        await asyncio.sleep(0)
        await client.close()
        (end,) = await asyncio.gather(asked, return_exceptions=True)
        assert isinstance(end, PoemError)
        # Nothing starts it again after that.
        with pytest.raises(PoemError):
            await client.encode(PROFILE, str(tmp_path), ROW, 0)
        assert client.state.status == "off"

    with_client(tmp_path, deed)
    pid = tmp_path / "pid"
    assert not pid.exists() or not pid.read_text(encoding="utf-8") or not is_alive(int(pid.read_text(encoding="utf-8")))


def test_a_flood_on_the_console_neither_hangs_nor_fills_memory(tmp_path: Path, stand_in: Callable[[str], None]) -> None:
    stand_in(
        "for _ in range(40): sys.stderr.write('x' * 2**18)\n"
        "sys.stderr.write('\\n' + 'line\\n' * 200_000 + 'the end')\nsys.exit(1)"
    )

    async def deed(client: ModelClient) -> None:
        with pytest.raises(ModelGone, match="the end"):
            await client.encode(PROFILE, str(tmp_path), ROW, 0)
        assert len(client.console()) < 2**20
        assert client.console().endswith("the end")

    with_client(tmp_path, deed)


def test_garbage_instead_of_answers(tmp_path: Path, stand_in: Callable[[str], None]) -> None:
    stand_in(
        "sys.stdin.readline()\n"
        "lines = [b'\\xff\\xfe', b'[1]', b'null', b'{\"id\": [1]}', b'{\"state\": 3}', b'{}', b'[' * 100_000, b'']\n"
        "sys.stdout.buffer.write(b'\\n'.join(lines))\n"
        "sys.stdout.flush(); sys.exit(0)"
    )

    async def deed(client: ModelClient) -> None:
        with pytest.raises(PoemError):
            await asyncio.wait_for(client.encode(PROFILE, str(tmp_path), ROW, 0), 20)

    with_client(tmp_path, deed)
