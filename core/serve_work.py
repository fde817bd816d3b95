"""How the model process meets a request: encode a row, say what a run would be, complete a poem.

It keeps what it loaded. It knows nothing of pipes or of other requests; between two pieces of work it asks whether it
shall go on.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch

from core.base_folder import resolve_base
from core.data.recipe import DEFAULT_TASK, make_example
from core.data.rows import Row
from core.data.script import traditional_form
from core.encoding.encode import Encoder, fit, make_encoder
from core.errors import PoemError, WorkError
from core.generation.decode import Completion, Piece, complete, sampling_of
from core.generation.prompt import check_prompt_text, make_completion_example, trained_instruction
from core.generation.source import adapter_of
from core.i18n import _
from core.model.device import choose_device, choose_precision
from core.model.load import Base, load_base, load_tokenizer, make_empty, read_embeddings
from core.model.lora import count_lora, load_adapter
from core.plain import plain
from core.profile.document import check_text, load_profile, problems_error
from core.profile.schema import Profile
from core.runs import queue
from core.runs.directory import RunDirectory, check_run
from core.runs.storage import free_bytes
from core.serve_protocol import Candidate, CompletionRequest, EncodedRow, Plan, Side, Written, fields_of
from core.training.loop import count_steps
from core.training.prepare import prepare
from core.training.space import room_needed

_SNAPSHOTS_PER_S = 20
Check = Callable[[], None]


class Warm:
    """A base, its tokenizer and an adapter, kept between requests."""

    def __init__(self, runs_dir: Path, tell: Callable[..., None]) -> None:
        """Nothing is loaded yet; `tell` sends the state."""
        self._runs_dir, self._tell = runs_dir, tell
        self._encoders: dict[tuple[Any, ...], tuple[Any, Encoder]] = {}
        self._base: Base | None = None
        self._base_key: tuple[Any, ...] = ()
        self._model: Any = None  # the base with an adapter on it
        self._adapter_key: tuple[Any, ...] = ()

    def tell_state(self, status: str, doing: str) -> None:
        """Say how the process is."""
        base = self._base
        memory = psutil.Process().memory_info().rss
        device = "" if base is None else str(base.device.torch_device)
        if device.startswith("cuda"):
            memory = torch.cuda.memory_allocated(device)
        name = "" if base is None else base.name
        self._tell(status=status, doing=doing, pid=os.getpid(), memory_bytes=memory, device=device, loaded=name)

    def meet(self, request: Mapping[str, Any], check: Check) -> Iterator[dict[str, Any]]:
        """The answers to a request, each whole in itself.

        Args:
            request: as it came.
            check: raises where the request is wanted no more.

        Raises:
            PoemError: what it asks for can't be had.
        """
        work = {"encode": self._encode, "plan": self._plan, "complete": self._complete}[request["kind"]]
        with _in_folder(request.get("base_dir", "")):
            yield from work(request, check)

    def judge(self, error: Exception) -> PoemError:
        """What an accident means; where memory gave out, everything loaded is let go."""
        text = str(error).lower()
        kinds = (torch.OutOfMemoryError, MemoryError)
        if isinstance(error, kinds) or "out of memory" in text or "can't allocate" in text:
            self._let_go()
            return WorkError(
                _("there wasn't enough memory for that"),
                hint=_("The model was let go. Ask for fewer candidates, a shorter text, or choose another device."),
            )
        reason = plain((str(error).strip() or "?").splitlines()[0][:300])
        message = _("the model process failed: {kind}: {reason}")
        return WorkError(message.format(kind=type(error).__name__, reason=reason))

    def _let_go(self) -> None:
        self._base = self._model = None
        self._base_key = self._adapter_key = ()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    # -- encode

    def _encode(self, request: Mapping[str, Any], check: Check) -> Iterator[dict[str, Any]]:
        profile = _profile_of(request["profile"])
        tokenizer, encoder = self._encoder(profile)
        check()
        data, fields = profile.data, request["row"]
        row = Row(fields["number"], fields["instruction"], fields["input"], fields["output"], fields["extra"])
        example = make_example(
            row,
            data.tasks or (DEFAULT_TASK,),
            system_prompt=data.system_prompt,
            seed=profile.train.seed,
            epoch=request["epoch"],
        )
        encoded = encoder.encode([example])[0]
        over = max(0, len(encoded.ids) - data.cutoff_len)
        kept = fit([encoded], cutoff_len=data.cutoff_len, overlong="truncate")[0] if over else [encoded]
        encoded = kept[0] if kept else encoded
        yield fields_of(
            EncodedRow(
                tokens=tuple(str(tokenizer.decode([token])) for token in encoded.ids),
                ids=encoded.ids,
                supervised_from=encoded.supervised_from,
                task=encoded.task,
                prompt=encoder.prompt_text(example),
                template=encoder.reason,
                over_cutoff=over,
            )
        )

    def _encoder(self, profile: Profile) -> tuple[Any, Encoder]:
        """Tokenizer and encoder, without the weights."""
        folder = resolve_base(profile.model.base)
        key = (*_identity(folder), profile.data.template)
        if key not in self._encoders:
            self.tell_state("busy", _("loading the tokenizer"))
            tokenizer = load_tokenizer(folder)
            embeddings = read_embeddings(folder) if profile.data.template == "auto" else None
            encoder = make_encoder(tokenizer, template=profile.data.template, embeddings=embeddings)
            self._encoders = {key: (tokenizer, encoder)}
        return self._encoders[key]

    # -- plan

    def _plan(self, request: Mapping[str, Any], check: Check) -> Iterator[dict[str, Any]]:
        profile = _profile_of(request["profile"])
        device = choose_device(profile.model.device)
        dtype = choose_precision(profile.model.dtype, device.torch_device).dtype
        folder = resolve_base(profile.model.base)
        tokenizer, _encoder = self._encoder(profile)
        check()
        self.tell_state("busy", _("reading and encoding the rows"))
        prepared = prepare(profile, tokenizer, read_embeddings(folder) if profile.data.template == "auto" else None)
        check()
        examples = prepared.examples(0)
        check()
        keys, lora = profile.train, profile.lora
        trainable = count_lora(make_empty(folder), r=lora.r, bias=lora.bias, target_modules=lora.target_modules)
        once = count_steps(len(examples), epochs=1, batch_size=keys.batch_size, max_steps=0)
        there = next(path for path in (self._runs_dir, *self._runs_dir.parents) if path.exists())
        yield fields_of(
            Plan(
                base=profile.model.base,
                device=str(device.torch_device),
                device_reason=device.reason,
                dtype=str(dtype).removeprefix("torch."),
                rows=len(prepared.train_rows),
                eval_rows=len(prepared.held_out),
                dropped_rows=len(prepared.split.train) - len(prepared.train_rows),
                steps=count_steps(
                    len(examples), epochs=keys.epochs, batch_size=keys.batch_size, max_steps=keys.max_steps
                ),
                steps_per_epoch=once,
                epochs=keys.epochs,
                tokens=sum(len(example.ids) for example in examples),
                supervised_tokens=sum(len(example.ids) - example.supervised_from for example in examples),
                trainable_parameters=trainable,
                disk_bytes=room_needed(trainable, keep_checkpoints=keys.keep_checkpoints),
                free_bytes=free_bytes(there),
                queued_behind=queue.holder(queue.device_name(profile.model.device)),
                notes=prepared.notes,
            )
        )

    # -- complete

    def _complete(self, request: Mapping[str, Any], check: Check) -> Iterator[dict[str, Any]]:
        wanted = CompletionRequest(**request["request"])
        profile, run, adapter = _writer_of(wanted)
        text = check_prompt_text(wanted.text, _("prompt"))
        found = traditional_form(text) if wanted.convert else None
        text = found.text if found else text
        instruction = wanted.instruction
        example = make_completion_example(text, profile, instruction or trained_instruction(run), instruction)
        base = self._loaded(profile)
        check()
        encoder = make_encoder(base.tokenizer, template=profile.data.template, embeddings=base.embeddings)
        prompt_ids = encoder.prompt_ids(example)
        model = base.model if adapter is None else self._adapted(base, adapter)
        check()
        self.tell_state("busy", _("writing"))
        names = ["base"] if adapter is None else ["adapter", "base"] if wanted.with_base else ["adapter"]
        seeds = range(wanted.seed, wanted.seed + wanted.count)
        sides = [
            _Writing(
                name,
                complete(
                    base.model if name == "base" and adapter is None else model,
                    base.tokenizer,
                    prompt_ids,
                    end_ids=encoder.end_ids,
                    sampling=sampling_of(profile.generation),
                    seeds=seeds,
                ),
                seeds,
                _without(model) if name == "base" and adapter is not None else contextlib.nullcontext,
            )
            for name in names
        ]
        try:
            sent_s = 0.0
            while not all(side.done for side in sides):
                for side in sides:
                    check()
                    side.go_on()
                if time.monotonic() - sent_s >= 1 / _SNAPSHOTS_PER_S:
                    yield fields_of(Written(len(prompt_ids), tuple(side.side() for side in sides), False))
                    sent_s = time.monotonic()
            yield fields_of(Written(len(prompt_ids), tuple(side.side() for side in sides), True))
        finally:
            for side in sides:
                side.stream.close()

    def _loaded(self, profile: Profile) -> Base:
        folder = resolve_base(profile.model.base)
        key = (*_identity(folder), profile.model.dtype, profile.model.device)
        if self._base is None or key != self._base_key:
            self._let_go()
            self.tell_state("busy", _("loading the model"))
            self._base = load_base(profile.model.base, dtype=profile.model.dtype, device=profile.model.device)
            self._base_key = key
        return self._base

    def _adapted(self, base: Base, folder: Path) -> Any:
        """The base with this adapter on it; another one is taken off first."""
        key = _identity(folder)
        if key != self._adapter_key:
            if self._model is not None:
                self._model.unload()
            self._model, self._adapter_key = None, ()
            self.tell_state("busy", _("loading the adapter"))
            self._model = load_adapter(base, folder)
            self._adapter_key = key
        return self._model


class _Writing:
    """One writer's completions on their way."""

    def __init__(self, name: str, stream: Any, seeds: range, around: Callable[[], Any]) -> None:
        self.name, self.stream, self._around = name, stream, around
        self._candidates = [Candidate(seed=seed) for seed in seeds]
        self._began_s = time.monotonic()
        self._speed = 0.0
        self.done = False

    def go_on(self) -> None:
        """Take what comes next."""
        if self.done:
            return
        with self._around():
            item: Piece | Completion | None = next(self.stream, None)
        if item is None:
            self.done = True
            return
        before = self._candidates[item.candidate]
        if isinstance(item, Completion):
            ended = Candidate(item.text, True, item.tokens, item.stop, item.seed)
            self._candidates[item.candidate] = ended
            tokens = sum(candidate.tokens for candidate in self._candidates)
            self._speed = tokens / max(1e-9, time.monotonic() - self._began_s)
        else:
            self._candidates[item.candidate] = replace(before, text=before.text + item.text)

    def side(self) -> Side:
        """All of it so far."""
        return Side(self.name, tuple(self._candidates), round(self._speed, 1))


def _without(model: Any) -> Callable[[], Any]:
    return lambda: model.disable_adapter()


def _writer_of(wanted: CompletionRequest) -> tuple[Profile, RunDirectory | None, Path | None]:
    """The profile, run and adapter; a run brings its own profile, of which the sampling alone may be another."""
    own = _profile_of(wanted.profile) if wanted.profile else None
    if not wanted.run:
        if own is None:
            raise PoemError(_("which model shall complete it?"), hint=_("Open a profile, or choose a run."))
        return own, None, None
    run = check_run(RunDirectory(Path(wanted.run)))
    profile = load_profile(str(run.profile_path))
    return replace(profile, generation=own.generation) if own else profile, run, adapter_of(run)


def _profile_of(text: str) -> Profile:
    profile, problems = check_text(text)
    if profile is None:
        raise problems_error(problems, _("the profile"))
    return profile


def _identity(folder: Path) -> tuple[Any, ...]:
    """What a folder's files are, without reading them."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    stats = [(path.name, path.stat()) for path in files]
    return (str(folder), *((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats))


@contextlib.contextmanager
def _in_folder(folder: str) -> Iterator[None]:
    """Relative paths start from there meanwhile."""
    if not folder:
        yield
        return
    before = os.getcwd()
    try:
        os.chdir(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PoemError(_("can't work in the folder: {reason}").format(reason=reason), where=folder) from None
    try:
        yield
    finally:
        os.chdir(before)
