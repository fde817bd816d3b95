"""The process that makes a probe's steps: what to make on its standard input, what they took on its standard output.

`core.review.probe` starts it and says what its answer means.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from core.encoding.encode import Encoded
    from core.model.load import Base
    from core.profile.schema import Profile
    from core.review.shapes import Shape

_BLOCK = 2**20
_FEWEST_TIMED = 2


def main() -> int:
    """Make the steps that are asked for; 0 when they are made."""
    from core.model.allocator import keep_freed_memory

    keep_freed_memory()  # as a worker does
    request = json.loads(sys.stdin.read())
    from core.errors import PoemError

    try:
        answer = _measure(request)
    except PoemError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


def _measure(request: dict[str, Any]) -> dict[str, float]:
    from accelerate import Accelerator

    from core.model.device import choose_device
    from core.model.lora import add_lora
    from core.profile.document import profile_from_dict
    from core.runs.events import EvalDone, StepDone
    from core.training.loop import Plan, make_optimiser, train

    profile = profile_from_dict(request["profile"])
    device = choose_device(profile.model.device).torch_device
    base = _base(profile, int(request["layers"]))
    lora, keys = profile.lora, profile.train
    model = add_lora(
        base,
        r=lora.r,
        alpha=lora.alpha,
        dropout=lora.dropout,
        bias=lora.bias,
        target_modules=lora.target_modules,
        seed=keys.seed,
    )
    ids = random.Random(keys.seed)
    tokens = min(int(base.embeddings.shape[0]), 1000)
    plan = Plan(
        epochs=1,
        max_steps=0,
        learning_rate=keys.learning_rate,
        schedule="constant",
        warmup_ratio=0.0,
        micro_batch_size=keys.micro_batch_size,
        batch_size=keys.batch_size,
        weight_decay=keys.weight_decay,
        adam_betas=(keys.adam_beta1, keys.adam_beta2),
        adam_epsilon=keys.adam_epsilon,
        max_grad_norm=keys.max_grad_norm,
        seed=keys.seed,
        eval_every=0,
    )
    optimiser = make_optimiser(model, plan)
    accelerator = Accelerator(cpu=device.type == "cpu")
    held_out = _encoded(request["held_out"], ids, tokens)
    begun_s = time.monotonic()
    timed: list[tuple[int, float]] = []
    scored: list[tuple[int, float]] = []
    for number, lengths in enumerate(request["steps"]):
        if len(timed) >= _FEWEST_TIMED and time.monotonic() - begun_s > request["patience_s"]:
            break
        rows = _encoded(lengths, ids, tokens)

        def examples(_epoch: int, rows: Sequence[Encoded] = rows) -> Sequence[Encoded]:
            return rows

        is_first = number == 0
        events = train(
            model,
            optimiser,
            examples=examples,
            held_out=held_out if is_first else (),
            plan=plan,
            accelerator=accelerator,
        )
        for event in events:
            if isinstance(event, StepDone) and not is_first:  # the first one warms up
                timed.append((_padded(lengths, keys.micro_batch_size), event.step_s))
            if isinstance(event, EvalDone):
                scored.append((_padded(request["held_out"], 2 * keys.micro_batch_size), event.eval_s))
    return {
        "peak_bytes": _peak_bytes(device),
        "step_s": sum(seconds for _tokens, seconds in timed) / sum(padded for padded, _seconds in timed),
        # The evaluation before the first step warms up too.
        "eval_s": scored[-1][1] / scored[-1][0] if scored else 0.0,
    }


def _padded(lengths: Sequence[Sequence[int]], rows_at_once: int) -> int:
    """Tokens that go through the model, padding and all."""
    ordered = sorted(length for length, _supervised in lengths)
    micros = [ordered[at : at + rows_at_once] for at in range(0, len(ordered), rows_at_once)]
    return sum(len(micro) * micro[-1] for micro in micros)


def _encoded(lengths: Sequence[Sequence[int]], ids: random.Random, tokens: int) -> list[Encoded]:
    from core.encoding.encode import Encoded

    return [
        Encoded(row, "probe", tuple(ids.randrange(tokens) for _at in range(length)), length - supervised)
        for row, (length, supervised) in enumerate(lengths)
    ]


def _base(profile: Profile, layers: int) -> Base:
    """The base itself, or one of its shape: of so many layers, 0 for all, and with random weights.

    Raises:
        PoemError: the base can't be loaded, or the device isn't there.
    """
    from core.model.device import choose_device, choose_precision
    from core.model.load import Base, load_base
    from core.review.shapes import shape_of

    keys = profile.model
    shape = shape_of(keys.base)
    if shape is None or (shape.source == "folder" and not layers):
        return load_base(keys.base, dtype=keys.dtype, device=keys.device)
    chosen = choose_device(keys.device)
    precision = choose_precision(keys.dtype, chosen.torch_device)
    model = _stand_in(shape.with_layers(layers or shape.layers), chosen.torch_device, precision.dtype)
    no_tokenizer: Any = None
    return Base(model, no_tokenizer, keys.base, Path(), chosen, precision)


def _stand_in(shape: Shape, device: torch.device, dtype: torch.dtype) -> Any:
    """A model whose weights are one block of random numbers, over and over: what they are changes no time."""
    import torch

    from core.review.shapes import make_model

    model: Any = make_model(shape, dtype=dtype).to_empty(device=device)
    model.tie_weights()
    block = torch.randn(_BLOCK, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(device, dtype)
    with torch.no_grad():
        for weight in model.parameters():
            flat = weight.view(-1)
            for at in range(0, len(flat), _BLOCK):
                flat[at : at + _BLOCK] = block[: len(flat) - at] if weight.ndim > 1 else 1.0
        for buffer in model.buffers():
            buffer.fill_(0.5)
    return model.eval()


def _peak_bytes(device: torch.device) -> int:
    """The most memory that this process, or its part of the device, has had in use."""
    import torch

    from core.review.budget import CUDA_CONTEXT_BYTES

    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) + CUDA_CONTEXT_BYTES
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    return own_peak_bytes()


def own_peak_bytes() -> int:
    """The most memory that this process has had resident."""
    try:
        # Not getrusage, which on Linux remembers the process that this one was forked from.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
        return 1024 * int(found[1]) if found else 0
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    sys.exit(main())
