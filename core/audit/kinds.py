"""The kinds of problems that rows can have, the worst first. How each is found is in the modules beside it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.audit.problem import Kind
from core.i18n import N_

_LOOK = N_("Look at them, and mend the file where the source has more.")

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                "bad-row",
                N_("Rows that can't be used"),
                N_('Mend them; data.on_bad_row = "skip" trains without them.'),
                "error",
            ),
            Kind(
                "nothing-supervised",
                N_("Nothing left to learn: the prompt alone fills data.cutoff_len"),
                N_("Raise data.cutoff_len, or exclude them."),
                "error",
            ),
            Kind(
                "overlong",
                N_("Longer than data.cutoff_len"),
                N_("Raise data.cutoff_len, or let data.overlong drop them."),
                "warning",
            ),
            Kind(
                "leakage",
                N_("Training rows that are nearly the same as a held-out row"),
                N_("Exclude them: the model would be judged by what it has learnt by heart."),
                "warning",
            ),
            Kind(
                "duplicate",
                N_("The same poem again"),
                N_("Exclude them: what stands there twice is learnt twice as much, and by heart the sooner."),
                "warning",
            ),
            Kind(
                "near-duplicate",
                N_("Nearly the same poem again: a variant, an excerpt, other characters or another author"),
                N_("Exclude them, or keep the version that you trust."),
                "warning",
            ),
            Kind(
                "tiny-field",
                N_("Empty or tiny fields"),
                N_("Fill them in, or exclude these rows."),
                "warning",
            ),
            Kind(
                "repeated-input",
                N_("The output repeats the input"),
                N_("Take the input out of the output, or the model learns to copy."),
                "warning",
            ),
            Kind(
                "missing-character",
                N_("Missing characters"),
                N_("Fill them in from another edition, or exclude these rows: the model would write such signs too."),
                "warning",
            ),
            Kind(
                "invisible-character",
                N_("Control characters, invisible ones and unusual spaces"),
                N_("Take them out: each costs tokens, and the model would write it too."),
                "warning",
            ),
            Kind(
                "mixed-script",
                N_("Simplified among Traditional characters, or the reverse"),
                N_("Convert these rows, or exclude them: the model would mix the two as well."),
                "warning",
            ),
            Kind(
                "bracket",
                N_("Brackets and notes in verse"),
                N_("Take the notes out: they are no part of the poem."),
                "warning",
            ),
            Kind(
                "mixed-punctuation",
                N_("ASCII or half-width marks among full-width ones"),
                N_("Write all marks full-width: ， 。 ？"),
                "hint",
            ),
            Kind(
                "same-input",
                N_("The same instruction and input with another output"),
                N_("Make the instruction tell them apart where both are meant."),
                "hint",
            ),
            Kind(
                "irregular-lines",
                N_("Verse whose lines differ in length"),
                N_("Look at them: a note or a missing character makes lines unequal; some poems really are so (雜言)."),
                "hint",
            ),
            Kind("odd-lines", N_("Verse with an odd number of lines"), _LOOK, "hint"),
            Kind(
                "broken-rhyme",
                N_("Regular forms whose lines don't rhyme"),
                N_(
                    "Look at a few: real poets take such liberties too, but a share far above 5 % says that lines are "
                    "mixed up or that the poems are not classical."
                ),
                "hint",
            ),
            Kind(
                "unknown-character",
                N_("Characters in verse that the rhyme table lacks"),
                N_("Look at them: they are rare, or they are no Chinese characters."),
                "hint",
            ),
        )
    }
)

OF_TOKENS = ("nothing-supervised", "overlong")
"""Kinds that only a tokenizer can tell."""
OF_FILE = ("bad-row",)
"""Kinds that reading the file tells."""
OF_SPLIT = ("leakage",)
"""Kinds that are about which rows are held out."""
EXCLUDABLE = tuple(name for name in KINDS if name not in (*OF_TOKENS, *OF_FILE, *OF_SPLIT))
"""Kinds that follow from the rows alone: those that `data.exclude` may name."""
