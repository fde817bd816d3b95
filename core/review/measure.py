"""What the rules go by, measured of a file and a profile: lengths, shares, the base, the device, memory and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from core.advice.facts import Facts
from core.audit.kinds import KINDS
from core.audit.poem import judged_poem
from core.audit.problem import Problem
from core.audit.structure import Structure, structure_of
from core.data.holdout import Split
from core.data.row import Row
from core.data.rows import RowFile, read_rows
from core.encoding.encode import Encoder
from core.errors import PoemError
from core.i18n import _
from core.model.device import choose_device
from core.profile.schema import Profile
from core.review.budget import budget_here
from core.review.probe import probe as probe_here
from core.review.shapes import model_facts
from core.review.shares import keep_rows, share_out
from core.review.tokenizer import find_encoder
from core.review.tokens import TokenCounts, count_tokens, estimate_tokens, padding_share, repeats_of
from core.verse.form import form_of, verse_lines
from core.verse.judge import Judgement


def facts_of(profile: Profile, path: str, *, tokenizer: str = "") -> Facts:
    """What the rules go by, without judging the poems or looking for problems.

    Args:
        profile: a checked one.
        path: as for `review`.
        tokenizer: as for `review`.

    Raises:
        PoemError: as for `review`.
    """
    profile = replace(profile, data=replace(profile.data, path=path))
    encoder = find_encoder(profile, tokenizer)
    file = read_rows(path, columns=profile.data.columns or None, on_bad_row="skip")
    rows = keep_rows(profile, file).rows
    structure = structure_of(path, file, [_form_alone(row) for row in file.rows])
    counts, split = count_rows(profile, rows, encoder), share_out(profile, rows).split
    return with_budget(measure(profile, rows, structure, counts, split), profile, counts, split)


def count_rows(profile: Profile, rows: Sequence[Row], encoder: tuple[Encoder, str] | None) -> TokenCounts:
    """The lengths of rows, counted where there is a tokenizer, else estimated.

    Args:
        profile: a checked one.
        rows: at least one.
        encoder: as from `find_encoder`.

    Raises:
        PoemError: no task takes any row.
    """
    return estimate_tokens(rows, profile) if encoder is None else count_tokens(rows, profile, *encoder)


def _form_alone(row: Row) -> Judgement:
    """A poem's lines and form, which is all that a structure is told by."""
    lines = verse_lines(judged_poem(row))
    return Judgement(lines, form_of(lines), (), False, False, False, "", False)


def problems_of_file(file: RowFile) -> Iterator[Problem]:
    """What reading a file tells: the rows that can't be used."""
    if file.bad_rows:
        found = {bad.number: bad.problem for bad in file.bad_rows}
        yield Problem("bad-row", tuple(found), found)


def problems_of_tokens(counts: TokenCounts) -> Iterator[Problem]:
    """What only the lengths of rows tell."""
    lengths = dict(zip(counts.rows, counts.totals, strict=True))
    kinds = {"nothing-supervised": counts.tokens.nothing_supervised, "overlong": counts.tokens.over_cutoff}
    for kind, rows in kinds.items():
        if rows:
            yield Problem(kind, rows, {row: _("{count:,} tokens").format(count=lengths[row]) for row in rows})


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The same, in the order of `KINDS`."""
    order = list(KINDS)
    return tuple(sorted(problems, key=lambda problem: order.index(problem.kind)))


def measure(
    profile: Profile,
    rows: Sequence[Row],
    structure: Structure,
    counts: TokenCounts,
    split: Split | None,
    repeats: Mapping[int, float] | None = None,
) -> Facts:
    """What is known without asking what a run takes.

    Args:
        profile: a checked one.
        rows: those that `data.exclude` leaves.
        structure: of the file.
        counts: lengths of the rows.
        split: which of them would train; None: none.
        repeats: as from `repeats_of`; None: they are counted here.

    Returns:
        the facts, but for the budget, which `with_budget` adds.
    """
    names = {name for row in rows for name in row.extra}
    lengths, _supervised = _lengths(counts, split)
    return Facts(
        rows=len(rows),
        free_rows=len(rows) - len(split.eval) - len(split.kin) if split else 0,
        eval_rows=len(split.eval) if split else 0,
        instructions=len({row.instruction for row in rows}),
        columns=tuple(name for name in structure.columns if name in names),
        poems=structure.task != "other",
        tokens=counts.tokens,
        repeats=repeats_of(rows) if repeats is None else repeats,
        padding_share=padding_share(lengths, profile),
        model=model_facts(profile),
        device=_device(profile),
        budget=None,
    )


def with_budget(
    facts: Facts, profile: Profile, counts: TokenCounts, split: Split | None, *, probe: bool = False
) -> Facts:
    """Facts with memory and time of a run on this machine: computed, or measured by a few steps.

    Raises:
        PoemError: the steps failed.
    """
    lengths, supervised = _lengths(counts, split)
    budget = probe_here if probe else budget_here
    return replace(facts, budget=budget(profile, lengths, supervised, eval_rows=facts.eval_rows))


def _lengths(counts: TokenCounts, split: Split | None) -> tuple[list[int], list[int]]:
    """Whole lengths and supervised tokens of the rows that would train, in file order."""
    training = frozenset(split.train if split else ())
    kept = [at for at, row in enumerate(counts.rows) if row in training]
    return [counts.totals[at] for at in kept], [counts.supervised[at] for at in kept]


def _device(profile: Profile) -> str:
    """cpu, mps or cuda: the profile's, or for `auto` the one that would be taken here."""
    try:
        return choose_device(profile.model.device).torch_device.type
    except PoemError:
        return profile.model.device.partition(":")[0]  # it isn't here, but is what the profile is for
