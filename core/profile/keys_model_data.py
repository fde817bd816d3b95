"""What the keys of `[model]` and `[data]` mean, may be and should be."""

from __future__ import annotations

from core.i18n import N_
from core.profile.key import Key

PROBLEMS = (
    "duplicate",
    "near-duplicate",
    "tiny-field",
    "repeated-input",
    "missing-character",
    "invisible-character",
    "mixed-script",
    "bracket",
    "mixed-punctuation",
    "same-input",
    "irregular-lines",
    "odd-lines",
    "broken-rhyme",
    "unknown-character",
)
"""The kinds of problems that follow from the rows alone; `core.audit.kinds` says what each is."""

MODEL = (
    Key(
        "model.base",
        "text",
        N_("The base model: a local folder, a hub id, or builtin:NAME. Only safetensors weights are read."),
        N_(
            "builtin:tang-tiny needs no download and trains in minutes on two cores, but writes simple verse; "
            "Qwen2-1.5B writes much better and wants a GPU with 8 GB or more."
        ),
    ),
    Key(
        "model.dtype",
        "text",
        N_("The number format of the base's weights. The adapter always trains in float32."),
        N_(
            "auto takes bfloat16 where the device does it well, which halves the memory of a 1.5 B base, "
            "and float32 on a CPU, where bfloat16 is slower. Set float32 to compare runs across devices "
            "to the last digit."
        ),
        choices=("auto", "float32", "bfloat16"),
    ),
    Key(
        "model.device",
        "text",
        N_("Where the model computes."),
        N_(
            "auto takes CUDA, then MPS, then the CPU, and says which. Name cuda:1 to leave the first GPU "
            "to someone else."
        ),
        choices=("auto", "cpu", "mps", "cuda", "cuda:N"),
    ),
)

DATA = (
    Key(
        "data.path",
        "text",
        N_("The data file (JSON, JSONL, CSV or TSV, plain or gzip), or builtin:tang-sample for the bundled 400 poems."),
        N_(
            "A relative path is taken from the directory that the command runs in, not from the "
            "profile's. ~ is expanded."
        ),
    ),
    Key(
        "data.rows",
        "integer or all",
        N_("How many rows train: a seeded sample of the file, not its head; or all that aren't held out."),
        N_(
            "More poems teach more than more epochs, so the default is all. A few hundred rows show in "
            "minutes whether a set-up works; the first experiment took 520."
        ),
        unit=N_("rows"),
        low=1,
        high=1_000_000_000,
    ),
    Key(
        "data.eval_rows",
        "integer",
        N_(
            "Rows held out of training and scored with every evaluation. Rows sharing two lines with one of them don't "
            "train either. 0: none."
        ),
        N_(
            "200 poems hold about 6,000 supervised tokens, enough to tell losses 0.03 apart; more cost time at every "
            "evaluation, fewer make the curve noisy."
        ),
        unit=N_("rows"),
        low=0,
        high=1_000_000_000,
    ),
    Key(
        "data.hold_out",
        "list of texts",
        N_("Every row whose poem contains one of these strings is held out, before any other row."),
        N_("Name the poems you will show off, so that the model completes them instead of reciting them."),
        may_have_lines=True,
    ),
    Key(
        "data.exclude",
        "list of rows",
        N_(
            "Rows that neither train nor are evaluated, as if the file lacked them: by number from 0, by range, or "
            "every row with a kind of problem."
        ),
        N_(
            "The review lists the problems of each kind with their rows. Of doubles the first stays. Row numbers mean "
            "this file alone: after a change to it, check them."
        ),
        choices=PROBLEMS,
    ),
    Key(
        "data.cutoff_len",
        "integer",
        N_("The longest encoded row: system prompt, instruction, input, output and end token together."),
        N_(
            "The longest row of the 25,007 Tang poems has 122 tokens in ChatML, so 256 cuts nothing and costs nothing: "
            "batches are padded to their longest row only. Raise it for long system prompts or old-style verse."
        ),
        unit=N_("tokens"),
        low=8,
        high=131_072,
    ),
    Key(
        "data.template",
        "text",
        N_("How system prompt, instruction, input and output become one text, in training and completion alike."),
        N_(
            "auto takes ChatML, or Alpaca where the base never learnt the chat tokens, and says which. model uses the "
            "tokenizer's own chat template, for instruct models."
        ),
        choices=("auto", "chatml", "alpaca", "model"),
    ),
    Key(
        "data.system_prompt",
        "text",
        N_("Text put before every example and every completion. Empty: none."),
        N_(
            "One fixed instruction needs none. With several tasks it holds what they share, such as the "
            "script to write in. It is shared by all rows, so its length costs little."
        ),
        may_be_empty=True,
        may_have_lines=True,
    ),
    Key(
        "data.overlong",
        "text",
        N_("What happens to a row of more than data.cutoff_len tokens."),
        N_(
            "drop leaves it out and counts it; truncate keeps its beginning and teaches a poem without "
            "an end; error stops before training."
        ),
        choices=("drop", "truncate", "error"),
    ),
    Key(
        "data.on_bad_row",
        "text",
        N_("What happens to a row that can't be read: no object, no output, a field that holds no text."),
        N_("error names the rows so that you mend the file; skip leaves them out, counted and listed."),
        choices=("error", "skip"),
    ),
    Key(
        "data.columns",
        "columns",
        N_("Which column of the file is the instruction, the input and the output."),
        N_(
            "Not needed for instruction/input/output or prompt/completion files, which are known by their columns. "
            'Otherwise: [data.columns] with input = "first", output = "rest".'
        ),
    ),
    Key(
        "data.columns.instruction",
        "text",
        N_("The column that holds the instruction."),
        N_("Leave it out where the file has none."),
    ),
    Key(
        "data.columns.input",
        "text",
        N_("The column that holds the given part of the poem."),
        N_("Leave it out where the file has none."),
    ),
    Key(
        "data.columns.output",
        "text",
        N_("The column that holds what the model is to write."),
        N_("Only this part carries loss."),
    ),
    Key(
        "data.tasks",
        "tasks",
        N_(
            "Weighted templates over a row's columns. Every epoch makes one example of each row, by one "
            "task that suits it."
        ),
        N_(
            "None: every row as it stands, which learns one job best. Mixed instructions make the model "
            "obey other wordings; give the row as it stands at least a third of the weight."
        ),
    ),
    Key(
        "data.tasks.name",
        "text",
        N_("The task's name in counts and messages; each name once."),
        N_("Required. A short word: row, style, explain."),
    ),
    Key(
        "data.tasks.instruction",
        "text",
        N_("Template of the instruction: {author}, {input} or any column; {{ and }} for braces."),
        N_("Left out: the row's own instruction. A row without a column that is named here doesn't get this task."),
        may_be_empty=True,
        may_have_lines=True,
    ),
    Key(
        "data.tasks.input",
        "text",
        N_("Template of the input."),
        N_('Left out: the row\'s own input. "{input}{output}" is the whole poem.'),
        may_be_empty=True,
        may_have_lines=True,
    ),
    Key(
        "data.tasks.output",
        "text",
        N_("Template of the output, the only part that carries loss."),
        N_("Left out: the row's own output."),
        may_have_lines=True,
    ),
    Key(
        "data.tasks.weight",
        "number",
        N_("How often the task is chosen, against the weights of the others that suit the row. 0: never."),
        N_("Weights need not sum to 1. Raise that of the wording you will use."),
        low=0,
        high=1_000_000,
    ),
)
