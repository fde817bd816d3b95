"""From a profile to what the loop needs: rows read, split, and encoded, with everything that was left out named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.audit.exclusion import excluded_rows
from core.audit.kinds import KINDS
from core.data.recipe import DEFAULT_TASK, Example, Split, count_eligible, eligible_tasks, make_example, split_rows
from core.data.rows import Row, RowFile, read_rows
from core.encoding.encode import Encoded, Encoder, fit, make_encoder, name_rows
from core.errors import PoemError
from core.i18n import _
from core.profile.schema import Profile


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that a run trains and evaluates on."""

    profile: Profile
    file: RowFile
    split: Split
    encoder: Encoder
    train_rows: tuple[Row, ...]  # that fit, in file order
    held_out: tuple[Encoded, ...]
    notes: tuple[str, ...]  # what the person should know

    @property
    def instruction(self) -> str:
        """The instruction that most training rows carry."""
        return Counter(row.instruction for row in self.train_rows).most_common(1)[0][0]

    def examples(self, epoch: int) -> list[Encoded]:
        """The training examples of an epoch, in file order, one for every row that trains."""
        encoded = self.encoder.encode(_examples(self.train_rows, self.profile, epoch))
        data = self.profile.data
        # With several tasks a row counts as fitting only if it fits in each of them, so none is lost here.
        return fit(encoded, cutoff_len=data.cutoff_len, overlong=data.overlong)[0]


def prepare(profile: Profile, tokenizer: Any, embeddings: Any = None, *, file: RowFile | None = None) -> Prepared:
    """Read, split and encode.

    Args:
        profile: what to train on, and how it is laid out.
        tokenizer: the base's.
        embeddings: (V, D), the base's input embeddings, for `template = "auto"`.
        file: what `data.path` holds, where it has been read already.

    Raises:
        PoemError: the data, or what the profile asks of it, is at fault.
    """
    data = profile.data
    if file is None:
        file = read_rows(data.path, columns=data.columns or None, on_bad_row=data.on_bad_row)
    excluded = excluded_rows(file, data.exclude)
    rows = [row for row in file.rows if row.number not in excluded]
    split = split_rows(
        rows,
        rows_wanted=None if data.rows == "all" else data.rows,
        eval_rows=data.eval_rows,
        seed=profile.train.seed,
        hold_out=data.hold_out,
    )
    encoder = make_encoder(tokenizer, template=data.template, embeddings=embeddings)
    notes = [
        _("{count} rows of {path}, columns by the rule “{rule}”").format(
            count=len(file.rows), path=data.path, rule=file.rule
        ),
        _("Template: {reason}").format(reason=encoder.reason),
    ]
    if file.bad_rows:
        skipped = name_rows([bad.number for bad in file.bad_rows])
        notes.append(_("{count} bad rows skipped: {rows}").format(count=len(file.bad_rows), rows=skipped))
    if excluded:
        notes.append(_excluded_words(excluded))
    if split.kin:
        notes.append(_("{count} rows left out: they share lines with a held-out poem").format(count=len(split.kin)))
    if data.tasks:
        counts = ", ".join(f"{name} {count}" for name, count in count_eligible(rows, data.tasks).items())
        notes.append(_("Rows eligible for each task: {counts}").format(counts=counts))
    by_number = {row.number: row for row in rows}
    train_rows = [by_number[number] for number in split.train]
    held_out_examples = _examples([by_number[number] for number in split.eval], profile, 0)
    held_out, overlong_held_out = fit(
        encoder.encode(held_out_examples), cutoff_len=data.cutoff_len, overlong=data.overlong
    )
    overlong = _overlong_rows(train_rows, profile, encoder)
    if data.overlong == "drop":
        train_rows = [row for row in train_rows if row.number not in overlong]
    if overlong or overlong_held_out:
        cut = _("dropped") if data.overlong == "drop" else _("truncated")
        numbers = sorted({*overlong, *overlong_held_out})
        notes.append(
            _("{count} rows longer than {cutoff} tokens {cut}: {rows}").format(
                count=len(numbers), cutoff=data.cutoff_len, cut=cut, rows=name_rows(numbers)
            )
        )
    if not train_rows:
        raise PoemError(
            _("no row fits into {cutoff} tokens").format(cutoff=data.cutoff_len),
            hint=_("Raise data.cutoff_len."),
            where="data.cutoff_len",
        )
    return Prepared(profile, file, split, encoder, tuple(train_rows), tuple(held_out), tuple(notes))


def _excluded_words(excluded: Mapping[int, str]) -> str:
    by_entry = Counter(excluded.values())
    kinds = {kind: count for kind, count in by_entry.items() if kind in KINDS}
    numbered = len(excluded) - sum(kinds.values())
    parts = [f"{kind} {count:,}" for kind, count in kinds.items()]
    parts += [_("by number {count:,}").format(count=numbered)] if numbered else []
    return _("{count:,} rows left out by data.exclude ({parts}): {rows}").format(
        count=len(excluded), parts=", ".join(parts), rows=name_rows(list(excluded))
    )


def _examples(rows: Sequence[Row], profile: Profile, epoch: int) -> list[Example]:
    tasks = profile.data.tasks or (DEFAULT_TASK,)
    prompt, seed = profile.data.system_prompt, profile.train.seed
    return [make_example(row, tasks, system_prompt=prompt, seed=seed, epoch=epoch) for row in rows]


def _overlong_rows(rows: Sequence[Row], profile: Profile, encoder: Encoder) -> set[int]:
    data = profile.data
    examples = [
        make_example(row, (task,), system_prompt=data.system_prompt, seed=profile.train.seed, epoch=0)
        for row in rows
        for task in eligible_tasks(row, data.tasks or (DEFAULT_TASK,))
    ]
    return set(fit(encoder.encode(examples), cutoff_len=data.cutoff_len, overlong=data.overlong)[1])
