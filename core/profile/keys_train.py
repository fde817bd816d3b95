"""What the keys of `[train]` mean, may be and should be."""

from __future__ import annotations

from core.i18n import N_
from core.profile.key import Key

_STEPS = N_("steps")
_SEED_MAX = 2**32 - 1

TRAIN = (
    Key(
        "train.epochs",
        "integer",
        N_("How often training goes through the rows."),
        N_(
            "5 over 25,007 poems is about 15,600 steps of 8. Held-out loss that rises while training "
            "loss falls means that poems are being learnt by heart: lower it. With a few hundred rows 1 "
            "to 3 are enough."
        ),
        unit=N_("epochs"),
        low=1,
        high=10_000,
    ),
    Key(
        "train.max_steps",
        "integer",
        N_("Training ends after this many steps, whatever the epochs; the schedule is planned for it. 0: no limit."),
        N_("For a trial: 20 steps show whether memory suffices and how long the whole will take."),
        unit=_STEPS,
        low=0,
        high=1_000_000_000,
    ),
    Key(
        "train.learning_rate",
        "number",
        N_("AdamW's step size at its peak, after the warm-up."),
        N_(
            "2e-4 suits LoRA on a 1.5 B base. Halve it if the loss jumps or samples turn to noise; the "
            "tiny built-in base takes 1e-3. Larger batches bear a larger one."
        ),
        low=0,
        low_open=True,
        high=1,
    ),
    Key(
        "train.schedule",
        "text",
        N_("How the learning rate falls after the warm-up: along a cosine or a line to 0, or not at all."),
        N_("cosine and linear end within noise of each other; constant is for runs whose end you don't know yet."),
        choices=("linear", "cosine", "constant"),
    ),
    Key(
        "train.warmup_ratio",
        "number",
        N_("The share of all steps in which the learning rate rises from 0 to its peak."),
        N_(
            "0.03 keeps the first noisy gradients from throwing a fresh adapter off. Short runs (under "
            "100 steps): 0 to 0.1."
        ),
        low=0,
        high=1,
        high_open=True,
    ),
    Key(
        "train.micro_batch_size",
        "integer",
        N_("Rows that go through the model at once: the knob for memory. It changes speed, not the result."),
        N_(
            "4 rows of 90 tokens fit 8 GB beside Qwen2-1.5B. Raise it until memory is full; lower it "
            "when memory runs out."
        ),
        unit=N_("rows"),
        low=1,
        high=4_096,
    ),
    Key(
        "train.batch_size",
        "integer",
        N_("Rows behind every step. A multiple of train.micro_batch_size."),
        N_(
            "Poems are short, so 8 rows are only 250 supervised tokens: noisy but quick to learn from. "
            "Raise it to 16 or 32, and the learning rate with it, when the loss curve jitters."
        ),
        unit=N_("rows"),
        low=1,
        high=65_536,
    ),
    Key(
        "train.weight_decay",
        "number",
        N_("How strongly AdamW pulls the adapter's weights towards 0. 0: not at all."),
        N_(
            "A rank 8 adapter is a small thing that hardly overfits by size, so 0. Try 0.01 to 0.1 on a "
            "few hundred rows."
        ),
        low=0,
        high=1,
    ),
    Key(
        "train.adam_beta1",
        "number",
        N_("AdamW's memory of the mean of gradients."),
        N_("0.9 is the usual value and needs no change."),
        low=0,
        high=1,
        high_open=True,
    ),
    Key(
        "train.adam_beta2",
        "number",
        N_("AdamW's memory of the mean of squared gradients."),
        N_("0.999 remembers about 1,000 steps; 0.98 to 0.99 suits runs of a few hundred."),
        low=0,
        high=1,
        high_open=True,
    ),
    Key(
        "train.adam_epsilon",
        "number",
        N_("Added to AdamW's divisor, so that it is never 0."),
        N_("1e-8 is the usual value and needs no change in float32."),
        low=0,
        low_open=True,
        high=0.1,
    ),
    Key(
        "train.max_grad_norm",
        "number",
        N_("A gradient longer than this is scaled down to it. 0: no clipping."),
        N_(
            "1.0 tames the odd batch of rare characters. If nearly every step is clipped, lower the "
            "learning rate instead."
        ),
        low=0,
        high=1_000_000,
    ),
    Key(
        "train.seed",
        "integer",
        N_("Decides the sample of rows, what is held out, the order, the choice of tasks and dropout."),
        N_("Keep it when comparing two settings; change it to see how much of a difference is luck."),
        low=0,
        high=_SEED_MAX,
    ),
    Key(
        "train.eval_every",
        "integer",
        N_("Steps between evaluations on the held-out rows. 0: only before the first step and after the last."),
        N_(
            "500 is about six points an epoch on 25,007 rows. Lower it for short runs, so that the curve "
            "has ten points."
        ),
        unit=_STEPS,
        low=0,
        high=1_000_000_000,
    ),
    Key(
        "train.checkpoint_every",
        "integer",
        N_("Steps between checkpoints. 0: only at the end."),
        N_("What a power cut costs at most. Set it to about ten minutes of steps; a checkpoint takes a second or two."),
        unit=_STEPS,
        low=0,
        high=1_000_000_000,
    ),
    Key(
        "train.keep_checkpoints",
        "integer",
        N_("How many of the newest checkpoints stay on disk."),
        N_(
            "A checkpoint of a rank 8 adapter on Qwen2-1.5B is about 110 MB with its optimiser state; 3 "
            "let you go back a little."
        ),
        unit=N_("checkpoints"),
        low=1,
        high=1_000_000,
    ),
    Key(
        "train.sample_every",
        "integer",
        N_("Steps between sample poems, one for each of train.sample_prompts. 0: never."),
        N_("Poems show what a loss can't: broken lines, repetition, a lost rhyme. One takes a few seconds."),
        unit=_STEPS,
        low=0,
        high=1_000_000_000,
    ),
    Key(
        "train.sample_prompts",
        "list of texts",
        N_("The inputs that sample poems continue, completed as [generation] says."),
        N_("Keep them the same over runs, and hold their poems out with data.hold_out."),
        may_have_lines=True,
    ),
    Key(
        "train.trackers",
        "list of texts",
        N_(
            "Where a run's figures and sample poems are mirrored while it goes on. A tracker that fails "
            "never stops a run."
        ),
        N_(
            "Empty: a run's own files hold everything that poemtui shows. Each needs its package: pip "
            "install 'poemtui[tensorboard]'. Without WANDB_MODE, TRACKIO_SPACE_ID and the like in the "
            "environment all of them write to the run's directory alone and send nothing."
        ),
        choices=("tensorboard", "trackio", "wandb"),
    ),
)
