"""Pre-training of a small Qwen2 model from scratch on a corpus of poems. Knows no profile, no run, no adapter.

Hidden matrices by Muon, everything else by AdamW; a warm-up, a constant rate, then a linear decay to nothing over the
last part of the token budget (warmup-stable-decay, Hu et al. 2024), so that a checkpoint of the constant part can be
continued with a larger budget.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

from core.errors import PoemError
from core.i18n import _
from core.model.corpus import INSTRUCTIONS, SYSTEM_PROMPTS, Corpus, Documents, encode_poems, pack
from core.model.muon import Muon
from core.model.verse_tokenizer import END_OF_TEXT, save_tokenizer, special_id, train_tokenizer

ADAM_BETAS = (0.9, 0.95)
GRADIENT_CLIP = 1.0
EVAL_POEMS_DURING_TRAINING = 400


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pre-training run does. The defaults are those of `builtin:tang-tiny`."""

    tokens: int = 20_000_000  # budget, without padding
    sequence_tokens: int = 132  # two 七律 and their ends, four 七絕, five 五絕
    batch_sequences: int = 32
    muon_rate: float = 0.02
    adam_rate: float = 4e-3
    weight_decay: float = 0.0
    warmup_steps: int = 60
    decay_share: float = 0.4  # of the budget
    seed: int = 1
    vocab_size: int = 8192
    hidden_size: int = 256
    intermediate_size: int = 768
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of the loop. Losses in nats."""

    step: int
    tokens: int  # seen, without padding
    loss_per_token: float  # mean since the last report
    rate: float  # share of the full learning rate
    tokens_per_s: float
    held_out_per_character: float | None  # None between evaluations


@dataclass(frozen=True, slots=True)
class Score:
    """The likelihood of whole poems, each after the end-of-text token that separates documents."""

    nats: float
    characters: int
    poems: int

    @property
    def per_character(self) -> float:
        """Nats per character, punctuation counted, the end of the poem not."""
        return self.nats / self.characters


def build_model(plan: Plan, tokenizer: Tokenizer) -> Qwen2ForCausalLM:
    """A Qwen2 model of the plan's shape, with seeded random weights."""
    torch.manual_seed(plan.seed)
    end = special_id(tokenizer, END_OF_TEXT)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=plan.vocab_size,
            hidden_size=plan.hidden_size,
            intermediate_size=plan.intermediate_size,
            num_hidden_layers=plan.layers,
            num_attention_heads=plan.heads,
            num_key_value_heads=plan.kv_heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
            attention_dropout=0.0,
            initializer_range=0.02,
        )
    )


def collate(sequences: Sequence[Sequence[Sequence[int]]], *, width: int, pad: int) -> dict[str, torch.Tensor]:
    """Lay packed sequences out as tensors; positions start again with every document, which keeps them apart.

    Args:
        sequences: (B) lists of documents.
        width: T; every sequence is padded to it.
        pad: the id to pad with.

    Returns:
        `input_ids`, `position_ids`, `labels`, each (B, T) int64; a label is the next id of the same document, or -100.
    """
    ids = torch.full((len(sequences), width), pad)
    positions = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, documents in enumerate(sequences):
        at = 0
        for document in documents:
            end = at + len(document)
            ids[row, at:end] = torch.tensor(document)
            positions[row, at:end] = torch.arange(len(document))
            labels[row, at : end - 1] = ids[row, at + 1 : end]
            at = end
    return {"input_ids": ids, "position_ids": positions, "labels": labels}


def loss_of(model: Qwen2ForCausalLM, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean next-token loss of a batch from `collate`, nats."""
    hidden = model.model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False)[0]
    learnt = batch["labels"] >= 0
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[learnt]).float(), batch["labels"][learnt])


@torch.no_grad()
def score_poems(model: Qwen2ForCausalLM, tokenizer: Tokenizer, poems: Sequence[str], *, batch_poems: int = 64) -> Score:
    """The likelihood of poems under a model, end of poem not counted."""
    device = next(model.parameters()).device
    end = special_id(tokenizer, END_OF_TEXT)
    encoded = sorted(([end, *ids] for ids in encode_poems(tokenizer, poems)), key=len)
    model.eval()  # type: ignore[no-untyped-call]
    nats = 0.0
    for start in range(0, len(encoded), batch_poems):
        documents = encoded[start : start + batch_poems]
        batch = collate([[document] for document in documents], width=len(documents[-1]), pad=end)
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        nats += float(loss_of(model, batch)) * int((batch["labels"] >= 0).sum())
    model.train()
    return Score(nats, sum(map(len, poems)), len(poems))


def learning_rate_share(tokens: int, step: int, plan: Plan) -> float:
    """The share of the full learning rate in force after `tokens` tokens, in step `step` (from 1)."""
    left = (plan.tokens - tokens) / (plan.tokens * plan.decay_share)
    return max(0.0, min(1.0, left, step / plan.warmup_steps))


def in_batches(sequences: Iterator[list[list[int]]], size: int) -> Iterator[list[list[list[int]]]]:
    """Packed sequences in batches of `size`; the last may be smaller."""
    while batch := list(itertools.islice(sequences, size)):
        yield batch


class Pretraining:
    """The state of one pre-training run: model, optimisers, and the place in the corpus."""

    def __init__(self, corpus: Corpus, plan: Plan, *, device: torch.device, tokenizer: Tokenizer | None = None) -> None:
        """Learn or take the tokenizer, build the model, encode the corpus.

        Args:
            corpus: split into training and held-out poems.
            plan: shape and schedule.
            device: where to train.
            tokenizer: of an earlier part of the same run; learnt from the corpus where it is None.
        """
        self.plan = plan
        self.corpus = corpus
        self.device = device
        self.tokenizer = tokenizer or train_tokenizer(
            corpus.train, (*INSTRUCTIONS, *SYSTEM_PROMPTS), vocab_size=plan.vocab_size
        )
        self.model = build_model(plan, self.tokenizer).to(device)  # type: ignore[arg-type]
        matrices = [p for name, p in self.model.named_parameters() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in self.model.named_parameters() if p.ndim != 2 or "embed" in name]
        self.muon = Muon(matrices, lr=plan.muon_rate, weight_decay=plan.weight_decay)
        self.adam = torch.optim.AdamW(
            others, lr=plan.adam_rate, betas=ADAM_BETAS, weight_decay=plan.weight_decay, fused=True
        )
        self.documents = Documents(self.tokenizer, corpus.train, seed=plan.seed)
        self.step = 0
        self.tokens = 0
        self.epoch = 0
        self.batch_of_epoch = 0

    def batches(self) -> Iterator[list[list[list[int]]]]:
        """Batches of packed sequences from where the run stands, epoch after epoch without end."""
        while True:
            sequences = pack(self.documents.epoch(self.epoch), sequence_tokens=self.plan.sequence_tokens)
            batches = in_batches(sequences, self.plan.batch_sequences)
            for batch in itertools.islice(batches, self.batch_of_epoch, None):
                self.batch_of_epoch += 1
                yield batch
            self.epoch += 1
            self.batch_of_epoch = 0

    def train(self, *, report_every: int, eval_every: int) -> Iterator[Progress]:
        """Train until the token budget is spent, reporting every `report_every` steps."""
        losses: list[torch.Tensor] = []
        tokens_before, started_s = self.tokens, time.monotonic()
        pad = special_id(self.tokenizer, END_OF_TEXT)
        for sequences in self.batches():
            share = learning_rate_share(self.tokens, self.step + 1, self.plan)
            if share <= 0:
                return
            for optimiser, rate in ((self.muon, self.plan.muon_rate), (self.adam, self.plan.adam_rate)):
                optimiser.param_groups[0]["lr"] = rate * share
            batch = collate(sequences, width=self.plan.sequence_tokens, pad=pad)
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                loss = loss_of(self.model, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_CLIP)
            self.muon.step()
            self.adam.step()
            self.model.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            self.step += 1
            self.tokens += sum(len(document) for documents in sequences for document in documents)
            if self.step % report_every == 0:
                seconds = time.monotonic() - started_s
                held_out = None
                if self.step % eval_every == 0:
                    poems = self.corpus.held_out[:EVAL_POEMS_DURING_TRAINING]
                    held_out = score_poems(self.model, self.tokenizer, poems).per_character
                yield Progress(
                    step=self.step,
                    tokens=self.tokens,
                    loss_per_token=float(torch.stack(losses).mean()),
                    rate=share,
                    tokens_per_s=(self.tokens - tokens_before) / seconds,
                    held_out_per_character=held_out,
                )
                losses.clear()
                tokens_before, started_s = self.tokens, time.monotonic()

    def save_checkpoint(self, folder: Path) -> None:
        """Write everything needed to go on, into a folder that is replaced as a whole."""
        fresh = folder.with_name(folder.name + ".new")
        fresh.mkdir(parents=True, exist_ok=True)
        save_tokenizer(self.tokenizer, fresh)
        tensors = {f"model.{name}": tensor for name, tensor in self.model.named_parameters()}
        for name, parameter in self.model.named_parameters():
            for optimiser in (self.muon, self.adam):
                for key, value in optimiser.state.get(parameter, {}).items():
                    tensors[f"optimiser.{key}.{name}"] = value
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, fresh / "state.safetensors")
        state: dict[str, Any] = {
            "plan": asdict(self.plan),
            "step": self.step,
            "tokens": self.tokens,
            "epoch": self.epoch,
            "batch_of_epoch": self.batch_of_epoch,
        }
        (fresh / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
        old = folder.with_name(folder.name + ".old")
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        for file in old.glob("*"):
            file.unlink()
        if old.exists():
            old.rmdir()

    def load_checkpoint(self, folder: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            PoemError: there is none, or it is of another shape.
        """
        state = read_state(folder)
        parameters = dict(self.model.named_parameters())
        with safe_open(folder / "state.safetensors", framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                kind, _dot, rest = key.partition(".")
                if kind == "model":
                    with torch.no_grad():
                        parameters[rest].copy_(file.get_tensor(key))
                    continue
                field, _dot, name = rest.partition(".")
                parameter = parameters[name]
                is_hidden = parameter.ndim == 2 and "embed" not in name
                optimiser = self.muon if is_hidden else self.adam
                tensor = file.get_tensor(key)
                optimiser.state[parameter][field] = tensor if field == "step" else tensor.to(self.device)
        self.step, self.tokens = state["step"], state["tokens"]
        self.epoch, self.batch_of_epoch = state["epoch"], state["batch_of_epoch"]

    def export(self, folder: Path) -> None:
        """Write a Hugging Face model folder: bfloat16 safetensors, configuration, tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        model = build_model(self.plan, self.tokenizer)
        model.load_state_dict(self.model.state_dict())
        model.to(torch.bfloat16).save_pretrained(folder)  # type: ignore[arg-type]
        save_tokenizer(self.tokenizer, folder)


def read_state(folder: Path) -> dict[str, Any]:
    """The JSON part of a checkpoint.

    Raises:
        PoemError: the folder holds none.
    """
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PoemError(
            _("there is no checkpoint to go on from"),
            hint=_("Leave --resume out to start afresh."),
            where=str(folder),
        ) from error
    return state
