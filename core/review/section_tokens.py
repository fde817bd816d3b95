"""The section on how long the rows are to the model, and what that means for training."""

from __future__ import annotations

from collections.abc import Iterator

from core.advice.amounts import sentences, share
from core.advice.facts import Distribution
from core.audit.structure import Structure
from core.i18n import N_, _
from core.profile.schema import Profile
from core.report.document import Bars, Block, RowLinks, Section, Table, Text
from core.review.characters import Characters
from core.review.lengths import sharing_gain
from core.review.section_structure import quoted, size_words
from core.review.tokens import ASCII_A_TOKEN, TOKENS_A_CHARACTER, TokenCounts

LIGHT_TOKENS, MIDDLING_TOKENS = 256, 1024
"""Rows are a light load where 99 % have at most the first, a middling one up to the second, a heavy one beyond."""
GUESS = {"instruction": 20, "input": 10, "output": 50}
"""Tokens that a rule of thumb takes the parts of a row of verse for; it was made for 25,007 rows, 2 M tokens in all."""

_NAMED = 5
_PARTS = (
    ("instruction", N_("instruction")),
    ("input", N_("input")),
    ("output", N_("output")),
    ("text", N_("the three together")),
    ("template", N_("template, system prompt and end token")),
    ("total", N_("whole row")),
)
_OVERLONG = {
    "drop": N_('data.overlong = "drop" leaves them out of training.'),
    "truncate": N_('data.overlong = "truncate" cuts them off, so that their poems have no end.'),
    "error": N_('data.overlong = "error" lets no run start with them.'),
}


def tokens_section(structure: Structure, counts: TokenCounts, profile: Profile, padding: float) -> Section:
    """The lengths, what they mean, and where they differ from a rule of thumb.

    Args:
        structure: the file's.
        counts: of its rows.
        profile: what the counts were made with.
        padding: of what goes through the model in training, the share that is padding, 0 to 1.
    """
    blocks: list[Block] = [
        _method(counts, profile),
        _table(counts),
        Text(_sums(counts)),
        _meaning(counts, profile),
        *_without_task(counts),
        *_cutoff(counts, profile),
        _histogram(counts),
        *_rule_of_thumb(structure, counts),
        _room(structure),
        Text(_padding(counts, profile, padding)),
        *_sharing(counts, profile),
        *(_character_blocks(counts.characters) if counts.characters else ()),
        _longest(counts),
    ]
    return Section("tokens", _("Tokens and memory"), tuple(blocks))


def _method(counts: TokenCounts, profile: Profile) -> Text:
    if counts.tokens.estimated:
        return Text(
            _(
                "Estimated from characters, as the tokenizer of {base} isn't on this machine: {each} tokens for a "
                "Chinese character, one for {ascii} ASCII characters, and ChatML around them. Modern Chinese takes "
                "fewer. To count them, name a folder with tokenizer.json: --tokenizer FOLDER."
            ).format(base=profile.model.base, each=TOKENS_A_CHARACTER, ascii=ASCII_A_TOKEN),
            "hint",
        )
    return Text(
        _("Counted with the tokenizer of {name}, as training encodes the rows. Template: {template}.").format(
            name=counts.tokens.tokenizer, template=counts.template
        )
    )


def _table(counts: TokenCounts) -> Table:
    header = (_("Tokens a row"), _("Mean"), _("Median"), "p95", "p99", _("Longest"), _("All rows"))
    rows = tuple((_(words), *_cells(getattr(counts.tokens, name))) for name, words in _PARTS)
    return Table(header, rows, right=tuple(range(1, len(header))))


def _cells(spread: Distribution) -> tuple[str, ...]:
    median = f"{spread.median:,.1f}".removesuffix(".0")
    return f"{spread.mean:,.2f}", median, f"{spread.p95:,}", f"{spread.p99:,}", f"{spread.max:,}", f"{spread.sum:,}"


def _sums(counts: TokenCounts) -> str:
    tokens = counts.tokens
    prefix = tokens.shared_prefix_tokens
    words = _(
        "{rows} rows are {total} tokens. The loss is taken over {supervised} of them ({share}): the outputs and their "
        "end tokens. All rows begin with the same {prefix} tokens, {prefix_share} of all."
    ).format(
        rows=f"{len(counts.rows):,}",
        total=f"{tokens.total.sum:,}",
        supervised=f"{sum(counts.supervised):,}",
        share=share(tokens.supervised_share),
        prefix=f"{prefix:,}",
        prefix_share=share(prefix * len(counts.rows) / tokens.total.sum),
    )
    if counts.distinct_ids:
        used = _("{count} distinct tokens are used.").format(count=f"{counts.distinct_ids:,}")
        return sentences(words, used)
    return words


def _meaning(counts: TokenCounts, profile: Profile) -> Text:
    p99, at_once = counts.tokens.total.p99, profile.train.micro_batch_size
    if p99 <= LIGHT_TOKENS:
        words = _(
            "99 % of the rows have at most {p99} tokens: a light load for a base of up to 7 B, as several rows at once "
            "take little memory beside its weights. {at_once} rows at once make up to {together} tokens."
        )
    elif p99 <= MIDDLING_TOKENS:
        words = _(
            "99 % of the rows have at most {p99} tokens: a middling load, as each row more at once takes memory that "
            "counts beside the weights. {at_once} rows at once make up to {together} tokens."
        )
    else:
        words = _(
            "99 % of the rows have at most {p99} tokens, and some have more than {limit}: a heavy load, as the longest "
            "rows may take more memory than the weights. {at_once} rows at once make up to {together} tokens."
        )
    text = words.format(p99=f"{p99:,}", at_once=at_once, together=f"{p99 * at_once:,}", limit=f"{MIDDLING_TOKENS:,}")
    return Text(text, "good" if p99 <= LIGHT_TOKENS else "" if p99 <= MIDDLING_TOKENS else "hint")


def _without_task(counts: TokenCounts) -> Iterator[RowLinks]:
    rows = counts.without_task
    if rows:
        yield RowLinks(
            "no-task",
            _("{count} rows have the columns of no task, and aren't counted").format(count=f"{len(rows):,}"),
            rows,
            remedy=_("Add a task that names no columns, or leave these rows out: no run starts with them."),
            tone="error",
        )


def _cutoff(counts: TokenCounts, profile: Profile) -> Iterator[Text]:
    tokens, data = counts.tokens, profile.data
    if not tokens.over_cutoff:
        yield Text(
            _("No row is longer than data.cutoff_len = {cutoff}; the longest has {longest} tokens.").format(
                cutoff=f"{data.cutoff_len:,}", longest=f"{tokens.total.max:,}"
            ),
            "good",
        )
        return
    words = _(
        "Longer than data.cutoff_len = {cutoff}: {count} rows ({share}), the longest with {longest} tokens. "
        "“{section}” lists them."
    ).format(
        cutoff=f"{data.cutoff_len:,}",
        count=f"{len(tokens.over_cutoff):,}",
        share=share(len(tokens.over_cutoff) / len(counts.rows)),
        longest=f"{tokens.total.max:,}",
        section=_("Quality audit"),
    )
    yield Text(sentences(words, _(_OVERLONG[data.overlong])), "warning")


def _histogram(counts: TokenCounts) -> Bars:
    return Bars(
        _("tokens"),
        tuple(
            (f"≥ {one.first:,}" if one.last is None else _range(one.first, one.last), one.rows) for one in counts.bins
        ),
    )


def _range(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def _rule_of_thumb(structure: Structure, counts: TokenCounts) -> Iterator[Block]:
    """For verse, what the rule is made for."""
    if structure.task == "other":
        return
    tokens, guess, rows = counts.tokens, sum(GUESS.values()), len(counts.rows)
    yield Text(
        _(
            "A rule of thumb takes a row for 20 + 10 + 50 ≈ {guess} tokens, and 25,007 rows for 2 M. Measured, the "
            "text of a row has {text:.1f} ({text_off}), and with the template, as training pays for it, {whole:.1f} "
            "({whole_off})."
        ).format(
            guess=guess,
            text=tokens.text.mean,
            text_off=_difference(guess, tokens.text.mean),
            whole=tokens.total.mean,
            whole_off=_difference(guess, tokens.total.mean),
        )
    )
    measured = {name: getattr(tokens, name) for name, _words in _PARTS}
    table = [(_(words), GUESS.get(name), measured[name].mean) for name, words in _PARTS if name in GUESS]
    lines = [(words, str(guessed), f"{mean:,.1f}", _difference(guessed or 0, mean)) for words, guessed, mean in table]
    for words, spread in ((_("the three together"), tokens.text), (_("whole row"), tokens.total)):
        lines.append((words, str(guess), f"{spread.mean:,.1f}", _difference(guess, spread.mean)))
    for words, spread in ((_("text of all rows"), tokens.text), (_("all rows"), tokens.total)):
        lines.append((words, f"{guess * rows:,}", f"{spread.sum:,}", _difference(guess * rows, spread.sum)))
    yield Table((_("Tokens"), _("Rule of thumb"), _("Measured"), _("Difference")), tuple(lines), right=(1, 2, 3))
    if structure.could_be_mistaken:
        yield Text(
            _(
                "Of {lines} text lines taken for rows the rule makes {guessed} tokens, {times:.1f} times what the "
                "{rows} rows have."
            ).format(
                lines=f"{structure.text_lines:,}",
                guessed=f"{guess * structure.text_lines:,}",
                times=guess * structure.text_lines / tokens.total.sum,
                rows=f"{rows:,}",
            ),
            "warning",
        )


def _difference(guessed: float, measured: float) -> str:
    """How far what is measured is from what was guessed, in percent of the guess."""
    return f"{100 * (measured / guessed - 1):+.0f} %"


def _room(structure: Structure) -> Table:
    rows = (
        (_("File on disk"), size_words(structure.size_bytes)),
        (_("Rows in memory, as texts"), size_words(structure.memory_bytes)),
    )
    return Table((_("Room"), _("Size")), rows, right=(1,))


def _padding(counts: TokenCounts, profile: Profile, padding: float) -> str:
    train, cutoff = profile.train, profile.data.cutoff_len
    lengths = [min(length, cutoff) for length in counts.totals]
    return _(
        "Padding: rows of like length go together, so of what goes through the model {share} is padding at {at_once} "
        "rows at once. If every row were padded to data.cutoff_len = {cutoff}, it would be {fixed}."
    ).format(
        share=share(padding),
        at_once=train.micro_batch_size,
        cutoff=f"{cutoff:,}",
        fixed=share(1 - sum(lengths) / (cutoff * len(lengths))),
    )


def _sharing(counts: TokenCounts, profile: Profile) -> Iterator[Text]:
    at_once = profile.train.micro_batch_size
    if counts.tokens.shared_prefix_tokens and at_once > 1:
        yield Text(
            _(
                "If the {prefix} tokens that all rows begin with went through the model once for {at_once} rows, the "
                "tokens processed would shrink by a factor of {gain:.2f}: packing by shared prefixes saves no more."
            ).format(
                prefix=f"{counts.tokens.shared_prefix_tokens:,}",
                at_once=at_once,
                gain=sharing_gain(counts.tokens, at_once),
            )
        )


def _character_blocks(characters: Characters) -> Iterator[Block]:
    running, distinct = characters.running, characters.distinct
    all_running, all_distinct = sum(running.values()), sum(distinct.values())
    yield Text(
        _(
            "A character of inputs and outputs takes {each:.3f} tokens. By themselves, {one} of all characters are one "
            "token, {two} two and {three} three or more."
        ).format(
            each=characters.tokens_each,
            one=share(running[1] / all_running),
            two=share(running[2] / all_running),
            three=share(running[3] / all_running),
        )
    )
    names = {1: _("one token"), 2: _("two tokens"), 3: _("three tokens or more")}
    yield Table(
        (_("Characters of"), _("Distinct"), _("Share"), _("In all texts"), _("Share")),
        tuple(
            (
                names[cost],
                f"{distinct[cost]:,}",
                share(distinct[cost] / all_distinct),
                f"{running[cost]:,}",
                share(running[cost] / all_running),
            )
            for cost in names
        ),
        right=(1, 2, 3, 4),
    )
    if characters.dear:
        yield Text(_("The characters of more than one token that cost the most:"))
        yield Table(
            (_("Character"), _("Tokens"), _("Rows")),
            tuple((one.character, f"{one.tokens:,}", f"{one.rows:,}") for one in characters.dear),
            right=(1, 2),
        )


def _longest(counts: TokenCounts) -> RowLinks:
    return RowLinks(
        "longest",
        _("The dearest rows: the {count} with the most tokens").format(count=len(counts.longest)),
        tuple(sorted(one.row for one in counts.longest)),
        tuple(
            _("{row}: {tokens} tokens: {text}").format(row=one.row, tokens=f"{one.tokens:,}", text=quoted(one.text))
            for one in counts.longest[:_NAMED]
        ),
    )
