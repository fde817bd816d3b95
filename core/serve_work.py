"""How the model process meets a request: encode a row, say what a run would be, complete a poem.

It keeps what it loaded. It knows nothing of pipes or of other requests; between two pieces of work it asks whether it
shall go on.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
import traceback
import warnings
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
from core.encoding.encode import Encoder, make_encoder
from core.errors import PoemError, WorkError
from core.generation.decode import complete, sampling_of
from core.generation.prompt import check_prompt_text, make_completion_example, trained_instruction
from core.generation.source import adapter_of
from core.i18n import _
from core.model.device import choose_device, choose_precision
from core.model.load import Base, load_base, load_tokenizer, read_embeddings
from core.model.lora import CONFIG_FILE, WEIGHTS_FILE, load_adapter
from core.plain import plain
from core.profile.document import check_text, load_profile, problems_error
from core.profile.schema import Profile
from core.runs.checkpoints import checkpoints
from core.runs.directory import RunDirectory, check_run
from core.runs.storage import check_private
from core.serve_plan import Planner, stamp_of
from core.serve_protocol import CompletionRequest, EncodedRow, ReviewRequest, Written, fields_of
from core.serve_review import review_parts
from core.serve_writing import Writing

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
        # Biases that the adapter changes in the base itself: the parameter, the base's values, the adapter's.
        self._biases: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self._planner = Planner(runs_dir, lambda doing: self.tell_state("busy", doing))

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
        works = {"encode": self._encode, "plan": self._plan, "complete": self._complete, "review": self._review}
        work = works[request["kind"]]
        with _in_folder(request.get("base_dir", "")):
            yield from work(request, check)

    def judge(self, error: Exception) -> PoemError:
        """What an accident means; where memory gave out, everything loaded is let go."""
        text = str(error).lower()
        kinds = (torch.OutOfMemoryError, MemoryError)
        if isinstance(error, kinds) or "out of memory" in text or "can't allocate" in text:
            # Frames that the error passed through hold the model, and the numbers that were too many.
            traceback.clear_frames(error.__traceback__)
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
        self._biases = []
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
        yield fields_of(
            EncodedRow(
                tokens=tuple(_token_text(tokenizer, token) for token in encoded.ids),
                ids=encoded.ids,
                supervised_from=encoded.supervised_from,
                task=encoded.task,
                prompt=encoder.prompt_text(example),
                template=encoder.reason,
                over_cutoff=max(0, len(encoded.ids) - data.cutoff_len),
            )
        )

    def _plan(self, request: Mapping[str, Any], check: Check) -> Iterator[dict[str, Any]]:
        profile = _profile_of(request["profile"])
        tokenizer, _encoder = self._encoder(profile)
        check()
        yield fields_of(self._planner.plan(profile, tokenizer, check))

    def _review(self, request: Mapping[str, Any], check: Check) -> Iterator[dict[str, Any]]:
        wanted = ReviewRequest(**request["request"])
        profile = _profile_of(wanted.profile)
        if wanted.loss:
            self._let_go()  # the review loads a base of its own, without an adapter on it
        yield from review_parts(profile, wanted, check=check, tell=lambda doing: self.tell_state("busy", doing))

    def _encoder(self, profile: Profile) -> tuple[Any, Encoder]:
        """Tokenizer and encoder, without the weights."""
        folder = resolve_base(profile.model.base)
        key = (*stamp_of(folder), profile.data.template)
        if key not in self._encoders:
            self.tell_state("busy", _("loading the tokenizer"))
            tokenizer = load_tokenizer(folder)
            embeddings = read_embeddings(folder) if profile.data.template == "auto" else None
            encoder = make_encoder(tokenizer, template=profile.data.template, embeddings=embeddings)
            self._encoders = {key: (tokenizer, encoder)}
        return self._encoders[key]

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
        model = None if adapter is None else self._adapted(base, adapter)
        check()
        self.tell_state("busy", _("writing"))
        folder = "" if run is None or adapter is None else str(adapter.relative_to(run.path))
        names = ["base"] if adapter is None else ["adapter", "base"] if wanted.with_base else ["adapter"]
        seeds = range(wanted.seed, wanted.seed + wanted.count)
        sides = [
            Writing(
                name,
                complete(
                    base.model if name == "base" else model,
                    base.tokenizer,
                    prompt_ids,
                    end_ids=encoder.end_ids,
                    sampling=sampling_of(profile.generation),
                    seeds=seeds,
                ),
                seeds,
                self._as_base if name == "base" else contextlib.nullcontext,
            )
            for name in names
        ]

        def before_token(_module: Any, _arguments: Any) -> None:
            check()
            at_work.tokens += 1

        # Each token passes through the base; pieces of text come less often, where characters have several tokens.
        hook = base.model.register_forward_pre_hook(before_token)
        try:
            sent_s = 0.0
            while not all(side.done for side in sides):
                for at_work in sides:
                    at_work.go_on()
                if time.monotonic() - sent_s >= 1 / _SNAPSHOTS_PER_S:
                    yield fields_of(Written(len(prompt_ids), tuple(side.side() for side in sides), False, folder))
                    sent_s = time.monotonic()
            yield fields_of(Written(len(prompt_ids), tuple(side.side() for side in sides), True, folder))
        finally:
            hook.remove()
            for side in sides:
                side.stream.close()

    def _loaded(self, profile: Profile) -> Base:
        folder = resolve_base(profile.model.base)
        device = choose_device(profile.model.device).torch_device
        key = (*stamp_of(folder), device, choose_precision(profile.model.dtype, device).dtype)
        if self._base is None or key != self._base_key:
            self._let_go()
            self.tell_state("busy", _("loading the model"))
            self._base = load_base(profile.model.base, dtype=profile.model.dtype, device=profile.model.device)
            self._base_key = key
        return self._base

    def _adapted(self, base: Base, folder: Path) -> Any:
        """The base with this adapter on it; another one is taken off first."""
        key = stamp_of(folder)
        if key != self._adapter_key:
            self.tell_state("busy", _("loading the adapter"))
            if self._model is not None:
                self._model.unload()
                for parameter, of_base, _of_adapter in self._biases:
                    parameter.data.copy_(of_base)
            self._model, self._adapter_key, self._biases = None, (), []
            named = base.model.named_parameters()
            biases = [(bias, bias.detach().clone()) for name, bias in named if name.endswith("bias")]
            try:
                self._model = load_adapter(base, folder)
            except BaseException:
                self._let_go()  # half of it may be on the base
                raise
            self._biases = [
                (bias, before, bias.detach().clone()) for bias, before in biases if not torch.equal(bias, before)
            ]
            self._adapter_key = key
        return self._model

    @contextlib.contextmanager
    def _as_base(self) -> Iterator[None]:
        """The base as it is without the adapter that may be on it."""
        if self._model is None:
            yield
            return
        with warnings.catch_warnings(action="ignore"), self._model.disable_adapter():
            for parameter, of_base, _of_adapter in self._biases:
                parameter.data.copy_(of_base)
            try:
                yield
            finally:
                for parameter, _of_base, of_adapter in self._biases:
                    parameter.data.copy_(of_adapter)


def _token_text(tokenizer: Any, token: int) -> str:
    """What a token writes; where that is no text by itself, the tokenizer's own name of it."""
    text = str(tokenizer.decode([token]))
    return str(tokenizer.convert_ids_to_tokens(token)) if not text or "\ufffd" in text else text


def _writer_of(wanted: CompletionRequest) -> tuple[Profile, RunDirectory | None, Path | None]:
    """The profile, run and adapter; a run brings its own profile, of which the sampling alone may be another."""
    own = _profile_of(wanted.profile) if wanted.profile else None
    if not wanted.run:
        if own is None:
            raise PoemError(_("which model shall complete it?"), hint=_("Open a profile, or choose a run."))
        return own, None, None
    run = check_run(RunDirectory(Path(wanted.run)))
    profile = load_profile(str(run.profile_path))
    return replace(profile, generation=own.generation) if own else profile, run, _adapter_of(run, wanted.adapter)


def _adapter_of(run: RunDirectory, named: str) -> Path:
    """The folder of the adapter that is named, if it is one that the run keeps; no name leads out of the run.

    Raises:
        PoemError: it isn't kept, or something in it is a link.
    """
    named = named or str(adapter_of(run).relative_to(run.path))
    if named == str(run.best_path.relative_to(run.path)):
        with contextlib.suppress(OSError):  # there is none, or it is no link: then it isn't kept
            named = os.path.normpath(run.adapter_path.relative_to(run.path) / os.readlink(run.best_path))
    kept = (run.adapter_path, *(checkpoint.path / "adapter" for checkpoint in checkpoints(run)))
    folder = next((path for path in kept if str(path.relative_to(run.path)) == named), None)
    if folder is None or not (folder / CONFIG_FILE).is_file():
        raise PoemError(
            _("the run {run} doesn't keep the adapter {adapter}").format(run=plain(run.id), adapter=plain(named[:80])),
            hint=_("It may have been removed meanwhile. Choose another one."),
            where=str(run.path),
        )
    check_private(folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if (folder / name).is_symlink():
            raise PoemError(_("This is a symbolic link, and links are not followed here."), where=str(folder / name))
    return folder


def _profile_of(text: str) -> Profile:
    profile, problems = check_text(text)
    if profile is None:
        raise problems_error(problems, _("the profile"))
    return profile


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
