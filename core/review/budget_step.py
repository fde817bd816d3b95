"""One optimiser step on tensors that have sizes and no data: the memory it holds at once, and the work that it is.

It is the loop's own step, run by the loop's own loss, optimiser and clipping on the meta device, with every storage
counted from its first use to its end. So it holds for any architecture, and for changes to the step. It knows no
device's speed and no memory's size.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.model.allocator import LARGE_BYTES
from core.profile.schema import Profile
from core.review.budget_batches import Micro
from core.review.shapes import Shape, linear_modules, make_model
from core.training.batch import Batch
from core.training.loss import supervised_nats

_META = torch.device("meta")
_ATEN = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Work:
    """What a device has to do."""

    flop: float = 0
    """Floating-point operations of matrix products: two for each multiplication."""
    bytes: float = 0
    """What all operations read and write."""
    operations: float = 0
    """How many there are, views left out."""

    def __add__(self, other: Work) -> Work:
        """Both, one after the other."""
        return Work(self.flop + other.flop, self.bytes + other.bytes, self.operations + other.operations)

    def times(self, factor: float) -> Work:
        """The same so many times."""
        return Work(self.flop * factor, self.bytes * factor, self.operations * factor)


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a step costs. All bytes are those of tensors alone, whatever an allocator adds."""

    weights: float = 0
    """Bytes of the base."""
    adapters: float = 0
    """Bytes of the numbers that train, where they are beside the base's; of its own bias vectors none."""
    trainable: float = 0
    """Bytes of all numbers that train: a gradient takes as many, the optimiser twice as many."""
    transient: float = 0
    """The most bytes that come and go in a micro-batch, logits among them, gradients and weights not."""
    gone: float = 0
    """The bytes that have come and gone by then, those of large blocks left out, as these go back to the system."""
    logits: float = 0
    """The most bytes of logits, their copies and their gradients at once."""
    update: float = 0
    """The most bytes that come and go in clipping and in the optimiser's own step."""
    micro_flop: float = 0
    """Work of a micro-batch, as in `Work`."""
    micro_bytes: float = 0
    micro_operations: float = 0
    update_bytes: float = 0
    """Work of clipping and of the optimiser's step, as in `Work`."""
    update_operations: float = 0

    @property
    def micro_work(self) -> Work:
        """Forward, loss and backward of one micro-batch."""
        return Work(self.micro_flop, self.micro_bytes, self.micro_operations)

    @property
    def update_work(self) -> Work:
        """Clipping and the optimiser's step."""
        return Work(0, self.update_bytes, self.update_operations)


def cost_of(
    shape: Shape, profile: Profile, micro: Micro, *, device: str, dtype: torch.dtype, training: bool = True
) -> StepCost:
    """What a step with one micro-batch costs, others' gradients being there already.

    Args:
        shape: of the base.
        profile: what is trained, and how.
        micro: the micro-batch; taken to hold padding.
        device: cpu, cuda or mps: they differ in how attention is computed, and the optimiser's loop.
        dtype: of the base's weights.
        training: False: an evaluation, which has no gradients and no update.
    """
    if shape.layers <= 2 or not shape.is_uniform:
        return _run(shape, profile, micro, device, dtype, training)
    # What each layer adds is the same, so two small models tell of any depth.
    one, two = (_run(shape.with_layers(count), profile, micro, device, dtype, training) for count in (1, 2))
    more = shape.layers - 2
    values = {f.name: getattr(two, f.name) + more * (getattr(two, f.name) - getattr(one, f.name)) for f in fields(two)}
    return StepCost(**values)


def _run(shape: Shape, profile: Profile, micro: Micro, device: str, dtype: torch.dtype, training: bool) -> StepCost:
    base: Any = make_model(shape, dtype=dtype)
    weights = {id(parameter): parameter.numel() * parameter.element_size() for parameter in base.parameters()}
    model = _with_adapter(base, profile)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    vocabulary = int(base.get_output_embeddings().weight.shape[0])
    ids = torch.empty(micro.rows, micro.width, dtype=torch.int64, device=_META)
    batch = Batch(ids, torch.empty_like(ids), torch.empty_like(ids), ())
    model.train(training)
    for parameter in trainable:
        parameter.grad = torch.empty_like(parameter) if training else None
    known = [*model.parameters(), *model.buffers(), *(p.grad for p in trainable if p.grad is not None)]
    ledger = _Ledger(known, columns=micro.columns, logits=micro.rows * micro.columns * vocabulary)
    with ledger, _Attention(device), torch.set_grad_enabled(training):
        nats = supervised_nats(model, batch)
        if training:
            nats.backward()  # type: ignore[no-untyped-call]
    del nats, batch
    update = _update(trainable, profile, device) if training and trainable else _Ledger(())
    return StepCost(
        weights=sum(weights.values()),
        adapters=sum(p.numel() * p.element_size() for p in trainable if id(p) not in weights),
        trainable=sum(p.numel() * p.element_size() for p in trainable),
        transient=ledger.peak,
        gone=ledger.gone,
        logits=ledger.logits_peak,
        update=update.peak,
        micro_flop=ledger.flop,
        micro_bytes=ledger.bytes,
        micro_operations=ledger.operations,
        update_bytes=update.bytes,
        update_operations=update.operations,
    )


def _with_adapter(base: Any, profile: Profile) -> Any:
    lora = profile.lora
    there = [name for name in lora.target_modules if name in linear_modules(base)]
    if not there:
        return base.requires_grad_(False)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias=lora.bias,
        target_modules=there,
        task_type=TaskType.CAUSAL_LM,
    )
    with _META:
        return get_peft_model(base, config)


def _update(trainable: list[torch.nn.Parameter], profile: Profile, device: str) -> _Ledger:
    keys = profile.train
    optimiser = torch.optim.AdamW(
        trainable,
        lr=keys.learning_rate,
        betas=(keys.adam_beta1, keys.adam_beta2),
        eps=keys.adam_epsilon,
        weight_decay=keys.weight_decay,
        foreach=device != "cpu",
    )
    with _Ledger(()):
        optimiser.step()  # makes its state, which is there from the second step on
    state = [value for item in optimiser.state.values() for value in item.values()]
    ledger = _Ledger([*trainable, *(p.grad for p in trainable if p.grad is not None), *state])
    with ledger:
        torch.nn.utils.clip_grad_norm_(trainable, keys.max_grad_norm or math.inf)
        optimiser.step()
    return ledger


class _Attention(TorchFunctionMode):
    """Attention as the device computes it: blockwise, but for MPS, which keeps all weights for the gradients.

    The meta device would choose as MPS does. The kernel for CPUs keeps what CUDA's memory-efficient one keeps: the
    inputs, the mask as numbers, the output, and one number a row of the weights (Dao et al. 2022).
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self._is_blockwise = device != "mps"

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self._is_blockwise or func is not torch.nn.functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        query, key, value = args
        if kwargs.get("enable_gqa"):
            repeats = query.shape[1] // key.shape[1]
            key, value = (one.repeat_interleave(repeats, dim=1) for one in (key, value))
        mask = kwargs.get("attn_mask")
        return _ATEN._scaled_dot_product_flash_attention_for_cpu(
            query,
            key,
            value,
            kwargs.get("dropout_p", 0.0),
            kwargs.get("is_causal", False),
            attn_mask=None if mask is None else mask.to(query.dtype),
            scale=kwargs.get("scale"),
        )[0]


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all storages that are alive, and the work of each operation, while it is entered."""

    def __init__(self, known: Iterable[torch.Tensor], *, columns: int = 0, logits: int = 0) -> None:
        """Count all but the known tensors.

        Args:
            known: tensors that are counted elsewhere.
            columns: how many positions `nonzero` finds, which the tensors, having no data, can't tell.
            logits: numbers in the logits.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self.logits_peak = self.gone = 0
        self.flop, self.bytes, self.operations = 0.0, 0.0, 0
        self._live = self._live_logits = self._gone = 0
        self._columns, self._logits = columns, logits
        self._storages: dict[int, Any] = {tensor.untyped_storage()._cdata: None for tensor in known}

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _ATEN.nonzero.default:
            return torch.empty(self._columns, 1, dtype=torch.int64, device=_META)
        if func is _ATEN._local_scalar_dense.default:
            # Asked whether there is no padding: there is. Asked for a number, a step's or a norm: any will do.
            return False if args[0].dtype == torch.bool else 1.0
        result = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves(result) if isinstance(one, torch.Tensor)]
        fresh = [self._note(one) for one in tensors]
        if any(fresh) or func._schema.is_mutable:
            taken = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
            self.operations += 1
            self.bytes += sum(one.numel() * one.element_size() for one in (*taken, *tensors))
            if func in _FLOP:
                self.flop += _FLOP[func](*args)
        return result

    def _note(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor's storage is a new one."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._storages:
            return False
        of_logits = size if self._logits and size in (2 * self._logits, 4 * self._logits) else 0

        def forget(_reference: Any) -> None:
            del self._storages[key]
            self._live -= size
            self._live_logits -= of_logits
            self._gone += size if size < LARGE_BYTES else 0

        self._storages[key] = weakref.ref(storage, forget)
        self._live += size
        self._live_logits += of_logits
        if self._live > self.peak:
            self.peak, self.gone = self._live, self._gone
        self.logits_peak = max(self.logits_peak, self._live_logits)
        return True


def _product(left: torch.Tensor, right: torch.Tensor, *_rest: Any) -> float:
    return 2.0 * left.numel() * right.shape[-1]


def _attention(query: torch.Tensor, key: torch.Tensor, *_rest: Any) -> float:
    return 4.0 * query.numel() * key.shape[-2]


_FLOP: dict[Any, Callable[..., float]] = {
    _ATEN.mm.default: _product,
    _ATEN.bmm.default: _product,
    _ATEN.addmm.default: lambda _bias, left, right, *_rest: _product(left, right),
    _ATEN._scaled_dot_product_flash_attention_for_cpu.default: _attention,
    # Scores once more, and four products of the same size (Dao et al. 2022).
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward.default: lambda _gradient, query, key, *_rest: (
        2.5 * _attention(query, key)
    ),
}
