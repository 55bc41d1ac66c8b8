"""The processes that work on one run, as one of them sees it. A run of one process is a team of one.

Knows nothing of torch.distributed: the team of several is in `ranks`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from memgen.stop import Stopped, StopRequest

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class Team:
    """A team of one: what it has is what all have.

    Each method that `Ranks` overrides is a meeting: every rank calls it, at the same place of its work.
    """

    rank: int = 0
    """Number of this process."""
    size: int = 1
    """How many there are."""
    backend: str | None = None
    """What carries the tensors: `nccl` between GPUs, `gloo` between CPUs; None where nothing is carried."""

    @property
    def is_main(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This rank's part of what all have: a slice, so that the ranks' parts one after the other are the whole."""
        return items[len(items) * self.rank // self.size : len(items) * (self.rank + 1) // self.size]

    def gather(self, items: list[T]) -> list[T]:
        """Everything that the ranks have, in their order."""
        return items

    def from_main(self, item: T) -> T:
        """The main process's item."""
        return item

    def sum(self, *numbers: float) -> list[float]:
        """Each number summed over the ranks; the same to the last bit on all."""
        return [sum(of_all) for of_all in zip(*self.gather([numbers]), strict=True)]

    def sum_gradients(self, parameters: "Iterable[torch.nn.Parameter]") -> None:
        """Sum gradients in place; one that no rank has stays None."""

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The others enter when the main process has left: it fetches what they find."""
        yield

    def check_stop(self, stop: StopRequest) -> None:
        """Raise Stopped on all ranks if one of them has been asked to stop."""
        for mode in self.gather([stop.requested()]):
            if mode is not None:
                raise Stopped(mode)

    def leave(self) -> None:
        """The work is done."""
