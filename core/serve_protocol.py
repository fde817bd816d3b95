"""What the app and its model process say to each other: one JSON object a line. It knows no model and no screen.

A request is `{"id", "kind", …}` or `{"cancel": id}`; kinds are encode, plan, complete and review. Answers are
`{"id", "is", …}` where `is` is part, done, error or superseded; and, unasked, `{"state": …}`. A later request of a kind
takes the place of an earlier one, waiting or at work. A part holds everything so far; of a review it holds one piece,
and `Review.and_part` puts the pieces together. A review takes long, so requests of other kinds are met in between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from core.advice.codec import facts_from
from core.advice.facts import Budget, Facts
from core.audit.problem import Problem
from core.report.codec import section_from, unpack_rows
from core.report.document import Section

KINDS = ("encode", "plan", "complete", "review")
IN_PIECES = "review"
"""The kind whose parts are pieces."""
LONGEST_BYTES = 16 * 2**20
"""A longer line is refused: no row, no profile and no piece of a review is near it."""


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """What training makes of one row."""

    tokens: tuple[str, ...]
    """The text of each id, never empty; untrusted."""
    ids: tuple[int, ...]
    """Prompt, output and end token."""
    supervised_from: int
    """Index of the first token that the loss is taken over."""
    task: str
    """The task drawn for the row in this epoch."""
    prompt: str
    """The prompt, special tokens by name."""
    template: str
    """Which template, and why, for people."""
    over_cutoff: int
    """Tokens beyond `data.cutoff_len`; 0: it fits."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of a profile would be."""

    base: str
    """As the profile names it."""
    device: str
    """cpu, mps, cuda:0 …"""
    device_reason: str
    """Why that one, for people."""
    dtype: str
    """The number type of the base's weights."""
    rows: int
    """Rows that train."""
    eval_rows: int
    """Held-out rows."""
    dropped_rows: int
    """Rows chosen but too long."""
    steps: int
    """Optimiser steps in all."""
    steps_per_epoch: int
    """Optimiser steps of one epoch."""
    epochs: int
    """Epochs asked for."""
    tokens: int
    """Tokens of one epoch."""
    supervised_tokens: int
    """Tokens of one epoch that the loss is taken over."""
    trainable_parameters: int
    """Numbers that training changes."""
    disk_bytes: int
    """What the run needs on the disk at most."""
    free_bytes: int
    """What is free there."""
    queued_behind: str
    """The run that has the device now; empty: it is free."""
    notes: tuple[str, ...]
    """What a person should know before."""
    budget: Budget | None = None
    """Memory and time; None: it can't be computed of this base."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One completion so far."""

    text: str = ""
    """The continuation; untrusted."""
    done: bool = False
    """Whether it has ended."""
    tokens: int = 0
    """Tokens written so far."""
    stop: str = ""
    """Why it ended: end (the model ended it) or length (it was cut off); empty while it hasn't."""
    seed: int = 0
    """The seed that gives it again."""


@dataclass(frozen=True, slots=True)
class Side:
    """All candidates of one writer."""

    name: str
    """base or adapter."""
    candidates: tuple[Candidate, ...]
    """In order of their seeds."""
    tokens_per_s: float = 0.0
    """Of all candidates together, in the time that this side had; 0 before the first."""


@dataclass(frozen=True, slots=True)
class Written:
    """Everything written so far for one request."""

    prompt_tokens: int
    """Tokens of the prompt."""
    sides: tuple[Side, ...]
    """The adapter first, where there is one."""
    done: bool
    """Whether all have ended."""
    adapter: str = ""
    """The folder of the adapter that writes, relative to the run's, links followed; empty: the base alone."""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What is to be completed, by whom and how."""

    text: str
    """The first lines of a poem."""
    profile: str
    """A profile's text, whose `[generation]` samples; empty where `run` brings its own."""
    base_dir: str
    """Where relative paths in it start from."""
    run: str
    """The directory of the run whose adapter writes; empty: the base alone."""
    with_base: bool
    """Whether the base writes too, from the same seeds."""
    count: int
    """Candidates, at least 1."""
    seed: int
    """The first candidate's; each further one's is one more."""
    instruction: str | None
    """What the model is asked to do; None: as in training."""
    convert: bool
    """Whether Simplified characters and ASCII punctuation are converted first."""
    adapter: str = ""
    """Which adapter of the run, by its folder relative to the run's: `adapter`, `adapter/best` or
    `checkpoints/step-000200/adapter`; empty: the final one, else that of the newest checkpoint."""


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """What is to be reviewed."""

    path: str
    """The data file, as a person typed it, or `builtin:NAME`."""
    columns: Mapping[str, str]
    """Field → column, where a person or a profile says so; empty: by the rules."""
    profile: str
    """A profile's text."""
    source: str
    """Its name or file, for the commands that the review gives."""
    base_dir: str
    """Where relative paths start from."""
    loss: bool = False
    """Whether the base scores every row, which takes long."""


@dataclass(frozen=True, slots=True)
class Review:
    """Everything known so far of one review."""

    sections: tuple[Section, ...] = ()
    """The report, in order."""
    problems: tuple[Problem, ...] = ()
    """Of a problem with very many rows, not every row has its details."""
    forms: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Form of verse → the rows that have it, ascending."""
    losses: Mapping[int, float] | None = None
    """Row → the base's loss, in nats a token; None: not asked for, or not there yet."""
    facts: Facts | None = None
    """What advice goes by."""
    done: bool = False
    """Whether that is all."""

    def and_part(self, part: Mapping[str, Any]) -> Review:
        """With one more piece.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        if "section" in part:
            return replace(self, sections=(*self.sections, section_from(part["section"])))
        if "problem" in part:
            kind, steps, details = part["problem"]
            words = {int(row): text for row, text in details.items()}
            return replace(self, problems=(*self.problems, Problem(kind, unpack_rows(steps), words)))
        if "form" in part:
            name, steps = part["form"]
            return replace(self, forms={**self.forms, name: unpack_rows(steps)})
        if "losses" in part:
            steps, nats = part["losses"]
            return replace(self, losses={**(self.losses or {}), **dict(zip(unpack_rows(steps), nats, strict=True))})
        return replace(self, facts=facts_from(part["facts"]))


@dataclass(frozen=True, slots=True)
class ModelState:
    """How the model process is."""

    status: str = "off"
    """off, starting, ready or busy."""
    doing: str = ""
    """What it is busy with, for people."""
    pid: int = 0
    """Its process id; 0 while it is off."""
    memory_bytes: int = 0
    """What it holds on the device, or in memory where that is the CPU."""
    device: str = ""
    """Where the loaded model is; empty: none is loaded."""
    loaded: str = ""
    """The base that is loaded."""
    problem: str = ""
    """Why it went off by itself; empty: it didn't."""


def to_line(message: Mapping[str, Any]) -> bytes:
    """A message as a line. Everything but ASCII is escaped, so nothing in a text can end the line or break UTF-8."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The message in a line; None where there is none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def fields_of(item: Any) -> dict[str, Any]:
    """A dataclass of this module as JSON values."""
    return asdict(item)


def written_from(fields: Mapping[str, Any]) -> Written:
    """The other way for `Written`, which is nested."""
    sides = tuple(
        Side(side["name"], tuple(Candidate(**candidate) for candidate in side["candidates"]), side["tokens_per_s"])
        for side in fields["sides"]
    )
    return Written(fields["prompt_tokens"], sides, fields["done"], fields["adapter"])


def encoded_from(fields: Mapping[str, Any]) -> EncodedRow:
    """The other way for `EncodedRow`."""
    return EncodedRow(**{**fields, "tokens": tuple(fields["tokens"]), "ids": tuple(fields["ids"])})


def plan_from(fields: Mapping[str, Any]) -> Plan:
    """The other way for `Plan`."""
    budget = fields["budget"]
    return Plan(**{**fields, "notes": tuple(fields["notes"]), "budget": budget and Budget(**budget)})
