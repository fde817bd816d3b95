"""How the model process meets a review: piece by piece, each small enough for a line.

What a review says is `core.review`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.advice.codec import facts_fields
from core.audit.problem import Problem
from core.profile.schema import Profile
from core.report.codec import pack_rows, section_fields
from core.report.document import Section
from core.serve_protocol import ReviewRequest

if TYPE_CHECKING:
    from core.review.review import Findings

_DETAILS_CHARACTERS = 100_000
"""Of one kind of problem; six bytes each on the way."""
_DETAIL_CHARACTERS = 200
_LOSSES_AT_ONCE = 100_000


def review_parts(
    profile: Profile, wanted: ReviewRequest, *, check: Callable[[], None], tell: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """The pieces that `core.serve_protocol.Review` puts together.

    Args:
        profile: the one asked for, checked.
        wanted: what is to be reviewed.
        check: raises where it is wanted no more.
        tell: is told what is being done, in words.

    Raises:
        PoemError: the file or something that the profile names can't be used.
    """
    from core.review.review import review  # what else is asked for doesn't wait for what it loads

    profile = replace(profile, data=replace(profile.data, path=wanted.path, columns=dict(wanted.columns)))
    for item in review(profile, wanted.path, source=wanted.source, loss=wanted.loss, check=check, tell=tell):
        check()
        if isinstance(item, Section):
            yield {"section": section_fields(item)}
        else:
            yield from _parts(item)


def _parts(findings: Findings) -> Iterator[dict[str, Any]]:
    for problem in findings.problems:
        yield {"problem": [problem.kind, pack_rows(problem.rows), _details(problem)]}
    for form, rows in findings.forms.items():
        yield {"form": [form, pack_rows(rows)]}
    if findings.losses is not None:
        yield from _losses({loss.row: loss.nats for loss in findings.losses})
    yield {"facts": facts_fields(findings.facts)}


def _details(problem: Problem) -> dict[int, str]:
    """Details of the first rows, as many as there is room for."""
    kept: dict[int, str] = {}
    left = _DETAILS_CHARACTERS
    for row in problem.rows:
        text = problem.details[row][:_DETAIL_CHARACTERS]
        left -= len(text)
        if left < 0:
            break
        kept[row] = text
    return kept


def _losses(losses: Mapping[int, float]) -> Iterator[dict[str, Any]]:
    rows: Sequence[int] = sorted(losses)
    for at in range(0, len(rows), _LOSSES_AT_ONCE):
        some = rows[at : at + _LOSSES_AT_ONCE]
        yield {"losses": [pack_rows(some), [round(losses[row], 4) for row in some]]}
