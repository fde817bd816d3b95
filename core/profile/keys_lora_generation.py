"""What the keys of `[lora]` and `[generation]` mean, may be and should be."""

from __future__ import annotations

from core.i18n import N_
from core.profile.key import Key

_SEED_MAX = 2**32 - 1

LORA = (
    Key(
        "lora.r",
        "integer",
        N_("The rank of the adapter's matrices: how much it can change."),
        N_(
            "8 on all seven projections is 9.2 M parameters on Qwen2-1.5B, ample for one kind of verse. "
            "16 or 32 for mixed tasks or a tiny base; 4 when rows are few."
        ),
        low=1,
        high=1_024,
    ),
    Key(
        "lora.alpha",
        "integer",
        N_("The adapter's output is multiplied by alpha / r."),
        N_("Twice the rank is the usual choice. Changing it acts much like changing the learning rate, so leave it."),
        low=1,
        high=4_096,
    ),
    Key(
        "lora.dropout",
        "number",
        N_("The share of the adapter's inputs dropped at random in training."),
        N_(
            "0.05 costs nothing and slows learning by heart; 0.1 for a few hundred rows; 0 for exact "
            "comparisons of batches."
        ),
        low=0,
        high=1,
        high_open=True,
    ),
    Key(
        "lora.bias",
        "text",
        N_("Which bias vectors train beside the adapter: none, all of the base's, or those of the adapted layers."),
        N_(
            "none. With the others, switching the adapter off no longer gives back the base, so the two "
            "can't be compared."
        ),
        choices=("none", "all", "lora_only"),
    ),
    Key(
        "lora.target_modules",
        "list of texts",
        N_("The base's linear layers that get an adapter, by the last part of their names."),
        N_(
            "All seven projections of a Qwen2 or Llama layer beat attention alone at equal size. Leave "
            "out gate_proj, up_proj and down_proj to save memory."
        ),
    ),
    Key(
        "lora.task_type",
        "text",
        N_("What peft records of the adapter's purpose."),
        N_("Poems are written by causal language models, so there is one value."),
        choices=("CAUSAL_LM",),
    ),
)

GENERATION = (
    Key(
        "generation.max_new_tokens",
        "integer",
        N_("A completion is cut off after this many tokens, if it doesn't end by itself."),
        N_("The longest rest of a poem in the 25,007 has 60 tokens; 128 leaves room and stops a runaway soon."),
        unit=N_("tokens"),
        low=1,
        high=32_768,
    ),
    Key(
        "generation.temperature",
        "number",
        N_("Sharpens the odds of the next token below 1, flattens them above. 0: always the likeliest."),
        N_("0.8 is lively and keeps form; 0.1 to 0.3 recites and repeats; above 1 lines break."),
        low=0,
        high=10,
    ),
    Key(
        "generation.top_p",
        "number",
        N_("Draws only from the likeliest tokens that together reach this share. 1: off."),
        N_("0.9 cuts the tail of odd characters. Lower it to 0.3 for the safest verse; 1 for the widest."),
        low=0,
        low_open=True,
        high=1,
    ),
    Key(
        "generation.top_k",
        "integer",
        N_("Draws only from this many of the likeliest tokens. 0: off."),
        N_("top_p does the work, so 0. 20 to 50 for a base that wanders."),
        unit=N_("tokens"),
        low=0,
        high=1_000_000,
    ),
    Key(
        "generation.repetition_penalty",
        "number",
        N_("Divides the odds of every token used before, the prompt's too. 1: off."),
        N_("Verse repeats commas and line lengths on purpose, and a penalty harms them: 1. At most 1.1."),
        low=0,
        low_open=True,
        high=10,
    ),
    Key(
        "generation.no_repeat_ngram_size",
        "integer",
        N_("No run of this many tokens comes twice in a text, prompt and completion together. 0: off."),
        N_("3 stops a line from being echoed, and single characters and pairs may still return. 0 to allow refrains."),
        unit=N_("tokens"),
        low=0,
        high=100,
    ),
    Key(
        "generation.seed",
        "integer",
        N_("The seed of the first completion; the next ones count up from it."),
        N_("The same seed on the same device gives the same poem."),
        low=0,
        high=_SEED_MAX,
    ),
    Key(
        "generation.count",
        "integer",
        N_("How many completions are made of one prompt."),
        N_(
            "They are made together, so 8 take little longer than 1. Choosing the best of several is "
            "worth more than any setting."
        ),
        unit=N_("completions"),
        low=1,
        high=1_000,
    ),
)
