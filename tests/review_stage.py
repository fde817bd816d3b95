"""What the tests of the review in the app share: a review of the four poems, and a model process that gives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from core.advice.facts import Distribution, Facts, Tokens
from core.audit.problem import Problem
from core.client import Review, ReviewRequest
from core.report.document import Code, Items, RowLinks, Section, Table, Text
from tests.data_pane import PaneApp, with_profile

PROFILE = '[model]\nbase = "b"\n[data]\npath = "{path}"\n'


def facts() -> Facts:
    """Facts of four rows."""
    some = Distribution.of([1, 2, 3, 4])
    tokens = Tokens(some, some, some, some, some, some, 0.5, 3, 98, (1,), (), True, "")
    return Facts(4, 3, 1, 1, ("author", "title"), True, tokens, {1: 0.5, 2: 0.0}, 0.1, None, "cpu", None)


SECTIONS = (
    Section("structure", "Structure", (Text("4 rows in JSONL."), Items(("author: 3", "title: 4")))),
    Section(
        "audit",
        "Quality",
        (
            RowLinks("near-duplicate", "2 rows (50 %): near", (1, 3), ("3: like row 0",), "Exclude them.", "warning"),
            Code('exclude = ["near-duplicate"]\nrows = 4', "toml"),
        ),
    ),
    Section(
        "value", "Value", (Table(("key", "value"), (("a", "1"),), (1,)), RowLinks("form:五絕", "2 rows: 五絕", (0, 3)))
    ),
    Section("surprise", "Surprise", (RowLinks("most-surprising", "The most surprising rows", (0, 2)),)),
)
PROBLEMS = (
    Problem("near-duplicate", (1, 3), {1: "like row 0", 3: "like row 0"}),
    Problem("irregular-lines", (3,), {3: "lines of 5 and 6"}),
)
FORMS = {"五絕": (0, 3), "五律": (1,), "七絕": (2,)}
LOSSES = {0: 2.5, 1: 4.25, 2: 1.0}
WHOLE = Review(SECTIONS, PROBLEMS, FORMS, None, facts(), done=True)


class Reviewer:
    """Gives a review piece by piece, each when a test lets it."""

    def __init__(self, *, free: bool = True) -> None:
        """Let through every piece, or none yet."""
        self.asked: list[ReviewRequest] = []
        self.ended = 0
        self.error: Exception | None = None
        self.gate = asyncio.Semaphore(99 if free else 0)

    async def __call__(self, request: ReviewRequest) -> AsyncIterator[Review]:
        """As `ModelClient.review`."""
        self.asked.append(request)
        try:
            for count in range(1, len(SECTIONS) + 1):
                await self.gate.acquire()
                if self.error is not None:
                    raise self.error
                yield Review(SECTIONS[:count])
            await self.gate.acquire()
            yield replace(WHOLE, losses=LOSSES) if request.loss else WHOLE
        finally:
            self.ended += 1


def with_reviewer(app: PaneApp, *, free: bool = True) -> Reviewer:
    """Put a profile of the open file in force, and a reviewer behind it."""
    with_profile(app, PROFILE.format(path=app.path))
    reviewer = Reviewer(free=free)
    app.fake.review = reviewer  # type: ignore[attr-defined]
    return reviewer
