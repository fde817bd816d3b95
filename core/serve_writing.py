"""One writer's completions on their way: what is written so far, and how fast. It knows no requests and no model."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import replace

from core.generation.decode import Completion, Piece
from core.serve_protocol import Candidate, Side


class Writing:
    """The base, or the adapter on it, at work on one prompt."""

    def __init__(
        self,
        name: str,
        stream: Generator[Piece | Completion, None, None],
        seeds: range,
        around: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Nothing is written yet.

        Args:
            name: base or adapter.
            stream: what it writes.
            seeds: of its candidates.
            around: makes the model what it is to be, while the stream goes on.
        """
        self.name, self.stream, self._around = name, stream, around
        self._candidates = [Candidate(seed=seed) for seed in seeds]
        self._own_s = 0.0
        self.tokens = 0  # that a candidate which hasn't ended has by now
        self.done = False

    def go_on(self) -> None:
        """Take what comes next."""
        if self.done:
            return
        began_s = time.monotonic()
        with self._around():
            item: Piece | Completion | None = next(self.stream, None)
        self._own_s += time.monotonic() - began_s
        if item is None:
            self.done = True
            return
        before = self._candidates[item.candidate]
        if isinstance(item, Completion):
            ended = Candidate(item.text, True, item.tokens, item.stop, item.seed)
            self._candidates[item.candidate] = ended
        else:
            self._candidates[item.candidate] = replace(before, text=before.text + item.text, tokens=self.tokens)

    def side(self) -> Side:
        """All of it so far."""
        tokens = sum(candidate.tokens for candidate in self._candidates)
        return Side(self.name, tuple(self._candidates), round(tokens / max(1e-9, self._own_s), 1))
