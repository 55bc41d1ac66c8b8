"""A team of several processes, through Hugging Face Accelerate: NCCL between GPUs, gloo between CPUs."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object, reduce

from memgen.parallel.team import Team

T = TypeVar("T")
# A dead rank is the launcher's business, which ends all; a slow one (a long completion, a download) is waited for.
PATIENCE = timedelta(days=7)


class Ranks(Team):
    """One of the processes that `launch` has started. The main one on GPU 0, the next on GPU 1, ...

    Args:
        rendezvous: a file in a private folder, the same for all ranks, in which they find each other.
    """

    def __init__(self, rendezvous: Path) -> None:
        self._state = PartialState(
            cpu=not torch.cuda.is_available(),
            init_method=f"file://{rendezvous}",
            rank=int(os.environ["RANK"]),
            world_size=int(os.environ["WORLD_SIZE"]),
            timeout=PATIENCE,
        )
        self.rank = self._state.process_index
        self.size = self._state.num_processes
        self.backend = self._state.backend

    def gather(self, items: list[T]) -> list[T]:
        """Everything that the ranks have, in their order."""
        gathered: list[T] = gather_object(items)
        return gathered

    def from_main(self, item: T) -> T:
        """The main process's item."""
        shared: list[T] = broadcast_object_list([item])
        return shared[0]

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum gradients in place, all in one message; one that no rank has stays None."""
        own = list(parameters)
        device = own[0].device
        has = torch.tensor([parameter.grad is not None for parameter in own], dtype=torch.float32, device=device)
        flat = [(p.grad if p.grad is not None else torch.zeros_like(p)).detach().float().flatten() for p in own]
        summed: torch.Tensor = reduce(torch.cat([*flat, has]), "sum")
        *gradients, has = torch.split(summed, [*(parameter.numel() for parameter in own), len(own)])
        for parameter, gradient, count in zip(own, gradients, has.tolist(), strict=True):
            parameter.grad = gradient.view_as(parameter).to(parameter.dtype) if count else None

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The others enter when the main process has left: it fetches what they find."""
        with self._state.main_process_first():
            yield

    def leave(self) -> None:
        """The work is done."""
        self._state.destroy_process_group()
