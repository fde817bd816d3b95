"""What a run of a profile would be, for the model process: its rows are read and encoded, no weights are loaded.

It keeps what it read and encoded, so that a plan of a profile whose data is the same is there at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.advice.facts import Budget
from core.base_folder import resolve_base
from core.data.rows import RowFile, read_rows, resolve_data_path
from core.i18n import _
from core.model.device import choose_device, choose_precision
from core.model.load import make_empty, read_embeddings
from core.model.lora import count_lora
from core.profile.schema import Profile, TrainKeys
from core.review.budget import budget_here
from core.runs import queue
from core.runs.storage import free_bytes
from core.serve_protocol import Plan
from core.training.loop import count_steps
from core.training.loss import count_supervised
from core.training.prepare import Prepared, prepare
from core.training.space import room_needed

Check = Callable[[], None]
"""Raises where the request is wanted no more."""


_WEIGHTLESS = (
    "learning_rate",
    "schedule",
    "warmup_ratio",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "checkpoint_every",
    "keep_checkpoints",
    "sample_every",
    "sample_prompts",
    "trackers",
)
"""Keys of `[train]` that change neither memory nor time."""


@dataclass(frozen=True, slots=True, eq=False)
class _First:
    """The data of a run, and of its first epoch the length of each example, whole and supervised, in tokens."""

    prepared: Prepared
    lengths: array[int]
    supervised: array[int]


class Planner:
    """Makes plans; one at a time."""

    def __init__(self, runs_dir: Path, tell: Callable[[str], None]) -> None:
        """Nothing is read yet; `tell` is told what is being done, in words."""
        self._runs_dir, self._tell = runs_dir, tell
        self._file: tuple[Any, RowFile] | None = None
        self._first: tuple[Any, _First] | None = None
        self._budget: tuple[Any, Budget] | None = None

    def plan(self, profile: Profile, tokenizer: Any, check: Check) -> Plan:
        """What a run of a profile would be.

        Args:
            profile: a checked one.
            tokenizer: its base's.
            check: raises where the plan is wanted no more.

        Raises:
            PoemError: its data or its base can't be used.
        """
        device = choose_device(profile.model.device)
        dtype = choose_precision(profile.model.dtype, device.torch_device).dtype
        folder = resolve_base(profile.model.base)
        first = self._prepare(profile, folder, tokenizer, check)
        check()
        keys, lora, prepared = profile.train, profile.lora, first.prepared
        trainable = count_lora(make_empty(folder), r=lora.r, bias=lora.bias, target_modules=lora.target_modules)
        once = count_steps(len(first.lengths), epochs=1, batch_size=keys.batch_size, max_steps=0)
        steps = count_steps(
            len(first.lengths), epochs=keys.epochs, batch_size=keys.batch_size, max_steps=keys.max_steps
        )
        return Plan(
            base=profile.model.base,
            device=str(device.torch_device),
            device_reason=device.reason,
            dtype=str(dtype).removeprefix("torch."),
            rows=len(prepared.train_rows),
            eval_rows=len(prepared.held_out),
            dropped_rows=len(prepared.split.train) - len(prepared.train_rows),
            steps=steps,
            steps_per_epoch=once,
            epochs=keys.epochs,
            tokens=sum(first.lengths),
            supervised_tokens=sum(first.supervised),
            trainable_parameters=trainable,
            disk_bytes=room_needed(trainable, keep_checkpoints=keys.keep_checkpoints),
            free_bytes=free_bytes(self._runs_dir),
            queued_behind=queue.holder(queue.device_name(profile.model.device)),
            notes=prepared.notes,
            budget=self._budget_of(profile, first),
        )

    def _budget_of(self, profile: Profile, first: _First) -> Budget:
        defaults = TrainKeys()
        weighing = replace(profile.train, **{name: getattr(defaults, name) for name in _WEIGHTLESS})
        key = (first, profile.model, profile.lora, weighing)
        if self._budget is None or self._budget[0] != key:
            held_out = len(first.prepared.held_out)
            self._budget = (key, budget_here(profile, first.lengths, first.supervised, eval_rows=held_out))
        return self._budget[1]

    def _prepare(self, profile: Profile, folder: Path, tokenizer: Any, check: Check) -> _First:
        data = profile.data
        path = resolve_data_path(data.path)
        try:
            found = path.stat()
        except OSError:
            read_rows(data.path)  # says what is wrong with it
            raise
        file_key = (str(path.absolute()), found.st_mtime_ns, found.st_size, data.columns, data.on_bad_row)
        key = (file_key, data, profile.train.seed, stamp_of(folder))
        if self._first is None or self._first[0] != key:
            self._tell(_("reading and encoding the rows"))
            if self._file is None or self._file[0] != file_key:
                self._file = (file_key, read_rows(data.path, columns=data.columns or None, on_bad_row=data.on_bad_row))
            check()
            embeddings = read_embeddings(folder) if data.template == "auto" else None
            prepared = prepare(profile, tokenizer, embeddings, file=self._file[1])
            check()
            examples = prepared.examples(0)
            lengths = array("q", (len(example.ids) for example in examples))
            supervised = array("q", (count_supervised([example]) for example in examples))
            self._first = (key, _First(prepared, lengths, supervised))
        return self._first[1]


def stamp_of(folder: Path) -> tuple[Any, ...]:
    """What a folder's files are, without reading them."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    stats = [(path.name, path.stat()) for path in files]
    return (str(folder), *((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats))
