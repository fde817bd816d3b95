"""The review of a data file and a profile: what is measured is told section by section, each as soon as it is ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from core.advice.advise import advise
from core.advice.facts import Facts
from core.advice.rule import Advice
from core.audit.find import find_problems
from core.audit.poem import judged_poem
from core.audit.problem import Problem
from core.audit.structure import Structure, structure_of
from core.base_folder import resolve_base
from core.data.row import Row
from core.data.rows import RowFile, read_rows
from core.errors import PoemError
from core.i18n import _
from core.model.allocator import return_freed_memory
from core.profile.schema import Profile
from core.report.document import Section, Text
from core.review.finding import Finding
from core.review.measure import count_rows, in_order, measure, problems_of_file, problems_of_tokens, with_budget
from core.review.measure import facts_of as facts_of
from core.review.section_audit import audit_section
from core.review.section_next import next_section
from core.review.section_parameters import parameters_section
from core.review.section_plan import plan_section
from core.review.section_structure import structure_section
from core.review.section_tokens import tokens_section
from core.review.section_value import value_section
from core.review.shares import Kept, keep_rows, refused_lengths, share_out
from core.review.shown import set_options, tokenizer_options
from core.review.surprise import RowLoss, score_rows, surprise_section
from core.review.tokenizer import find_encoder
from core.review.tokens import TokenCounts, repeats_of
from core.review.value import value_of
from core.verse.judge import Judgement, judge
from core.verse.tally import Tally

_ROWS_BETWEEN_CHECKS = 512
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that a review found, as data."""

    profile: Profile
    """The profile under review, `data.path` and all."""
    file: RowFile
    """The rows, bad ones named."""
    structure: Structure
    counts: TokenCounts
    """Lengths of the rows that `data.exclude` leaves."""
    excluded: Mapping[int, str]
    """Rows that `data.exclude` leaves out: number → the entry that names it."""
    refusals: tuple[PoemError, ...]
    """Why a run of this profile on this file would not begin; empty where it would."""
    verse: Tally
    """The poems judged."""
    problems: tuple[Problem, ...]
    """In the order of `core.audit.kinds.KINDS`."""
    facts: Facts
    value: tuple[Finding, ...]
    """Strengths, then limits."""
    advice: tuple[Advice, ...]
    losses: tuple[RowLoss, ...] | None
    """The base's loss of each row; None: not asked for."""

    @property
    def forms(self) -> Mapping[str, tuple[int, ...]]:
        """Form → numbers of its rows, as in `Structure`."""
        return self.structure.forms


def _go_on() -> None:
    """Nobody wants it to end."""


def _tell_nobody(_doing: str) -> None:
    """Nobody asks what is being done."""


def review(
    profile: Profile,
    path: str,
    *,
    source: str = "PROFILE",
    overrides: Sequence[str] = (),
    tokenizer: str = "",
    probe: bool = False,
    loss: bool = False,
    check: Callable[[], None] = _go_on,
    tell: Callable[[str], None] = _tell_nobody,
) -> Iterator[Section | Findings]:
    """The sections in order, each as soon as it is ready, and everything as data at the end.

    What a run of the profile would refuse is told in the review, which goes on with what can be said.

    Args:
        profile: a checked one.
        path: the data file, in the place of the profile's own.
        source: the profile's name or file, for the commands that the review gives.
        overrides: KEY=VALUE each, by which the profile differs from its source, for the same.
        tokenizer: a folder to count with where the profile's base is not on this machine; "" for the base's own.
        probe: whether a few steps are made, in a process of their own, to measure memory and time.
        loss: whether the base scores every row.
        check: raises where the review is wanted no more; called every now and then.
        tell: is told what is being done now.

    Raises:
        PoemError: the file or the tokenizer can't be read, no task takes any row, the base that shall score rows isn't
            here, or the steps of the probe failed.
    """
    profile = replace(profile, data=replace(profile.data, path=path))
    if loss:
        resolve_base(profile.model.base)  # says early what would fail late
    # The tokenizer first: for a moment, making it takes more memory than all that is kept later.
    tell(_("loading the tokenizer"))
    encoder = find_encoder(profile, tokenizer)
    return_freed_memory()
    check()
    tell(_("reading the rows"))
    file = read_rows(path, columns=profile.data.columns or None, on_bad_row="skip")
    check()
    kept = keep_rows(profile, file)
    rows = kept.rows
    # The tokenizer works outside Python's lock, so the poems are judged meanwhile.
    other = ThreadPoolExecutor(1)
    try:
        counting = other.submit(count_rows, profile, rows, encoder)
        tell(_("judging the poems"))
        judgements = list(_judged(file.rows, check))
        structure = structure_of(path, file, judgements)
        yield structure_section(structure)
        tell(_("looking for problems"))
        shares = share_out(profile, rows)
        check()
        found = list(_checked(find_problems(file.rows, judgements, split=shares.split), check))
        verse = Tally()
        for judgement in judgements:
            verse.add(judgement)
        judgements.clear()
        repeats = repeats_of(rows)
        tell(_("counting tokens"))
        counts = counting.result()
    finally:
        other.shutdown(wait=False)
    del encoder, counting
    return_freed_memory()
    check()
    facts = measure(profile, rows, structure, counts, shares.split, repeats)
    yield tokens_section(structure, counts, profile, facts.padding_share)
    problems = in_order([*found, *problems_of_file(file), *problems_of_tokens(counts)])
    yield _with_exclusions(audit_section(problems, len(file.rows) + len(file.bad_rows)), kept)
    losses: tuple[RowLoss, ...] | None = None
    if loss:
        tell(_("loading the base"))
        losses = tuple(_checked(score_rows(profile, rows, tell), check))
        yield surprise_section(losses, {row.number: row for row in rows}, profile.model.base)
    value = value_of(structure, facts, problems, profile, regulated_share=_regulated_share(verse))
    yield value_section(value, structure, facts, profile)
    check()
    tell(_("making a few steps") if probe else _("weighing memory and time"))
    facts = with_budget(facts, profile, counts, shares.split, probe=probe)
    advice = advise(profile, facts)
    refusals = (*kept.refusals, *shares.refusals, *refused_lengths(profile, counts, shares.split))
    yield _with_refusals(plan_section(profile, facts, advice), refusals)
    options = [*set_options(overrides), *tokenizer_options(tokenizer)]
    yield parameters_section(profile, advice, facts=facts, source=source, file=path, options=options)
    yield next_section(
        profile,
        facts,
        structure,
        advice,
        problems,
        source=source,
        file=path,
        overrides=overrides,
        tokenizer=tokenizer,
    )
    yield Findings(
        profile, file, structure, counts, kept.excluded, refusals, verse, problems, facts, value, advice, losses
    )


def _judged(rows: Sequence[Row], check: Callable[[], None]) -> Iterator[Judgement]:
    for at, row in enumerate(rows):
        if at % _ROWS_BETWEEN_CHECKS == 0:
            check()
        yield judge(judged_poem(row))


def _checked(items: Iterable[T], check: Callable[[], None]) -> Iterator[T]:
    for item in items:
        yield item
        check()


def _regulated_share(verse: Tally) -> float | None:
    poems = verse.everything.poems - (verse.forms[""].poems if "" in verse.forms else 0)
    return verse.everything.having["regulated"] / poems if poems else None


def _with_exclusions(section: Section, kept: Kept) -> Section:
    if not kept.excluded:
        return section
    text = _("Rows left out of training and evaluation already, by data.exclude: {count}.")
    return replace(section, blocks=(*section.blocks, Text(text.format(count=f"{len(kept.excluded):,}"))))


def _with_refusals(section: Section, refusals: Sequence[PoemError]) -> Section:
    texts = (Text(_("A run would not begin: {reason}").format(reason=_worded(one)), "error") for one in refusals)
    return replace(section, blocks=(*texts, *section.blocks))


def _worded(error: PoemError) -> str:
    return f"{error.where}: {error.message}. {error.hint}".removeprefix(": ").strip()
