"""How many rows a run works on at the same time in this process: what its config says, or as many as fit.

Where the config leaves it open, the planner says how many fit into the memory that is free before the model is loaded,
and half of them go on where memory runs out after all.
"""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from memgen.card_errors import OUT_OF_MEMORY, failure_code
from memgen.contract.config import RunConfig
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.memory_share import memory_share
from memgen.contract.planner.memory import PROCESS_BYTES
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.width import rows_of_a_process, rows_that_fit
from memgen.contract.presets import get_preset
from memgen.contract.rows import num_rows
from memgen.contract.rundir import RunDir
from memgen.model.base import spreads
from memgen.monitor import Monitor
from memgen.stages.context import Context

T = TypeVar("T")


class Width:
    """The width of a run, which halves where memory runs out.

    Args:
        rows: to begin with.
        may_halve: whether memory that runs out halves it; else that ends the run.
        monitor: is told of it.
    """

    def __init__(self, rows: int, *, may_halve: bool, monitor: Monitor) -> None:
        self.first = rows
        """Rows that the run began with."""
        self.rows = rows
        """Rows that it works on at the same time now."""
        self._may_halve = may_halve
        self._monitor = monitor

    def of(self, rows: int) -> "Width":
        """That of another kind of work of the run, which halves by itself."""
        return Width(rows, may_halve=self._may_halve, monitor=self._monitor)

    def halving(self, work: Callable[[], T]) -> T:
        """Do the work, and again from where it can go on with half of the rows as long as memory runs out.

        Raises:
            Exception: what the work raises; memory that ran out where the width is fixed, or a single row is too much.
        """
        while True:
            try:
                return work()
            except Exception as error:
                if failure_code(error) != OUT_OF_MEMORY or not self._may_halve or self.rows == 1:
                    raise
            self._halve()  # out here the error, and with it what the work held, is gone

    def _halve(self) -> None:
        before, self.rows = self.rows, self.rows // 2
        self._monitor.warn(
            "width_halved", f"memory ran out with {before} rows at the same time: it goes on with {self.rows}"
        )
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def fixed_width(config: RunConfig) -> Width:
    """The width that a config says, or usually means, where nobody looks at the memory."""
    return Width(config.width or config.usual_width, may_halve=False, monitor=Monitor(None))


def choose_width(config: RunConfig, context: Context, start: Parts | None = None, *, may_halve: bool) -> Width:
    """The width of this run: the config's, that of the attempt that is resumed, or as many rows as fit.

    All ranks have the same one, the least that fits on any of them.

    Args:
        config: of the run.
        context: of the run.
        start: what its checkpoint has.
        may_halve: whether the stage can go on with half of the rows.
    """
    rows, is_open = config.width, config.width is None
    if rows is None and context.resume is not None:
        rows = width_of(config, context.resume)
    if rows is None:
        rows = min(context.team.gather([_rows_that_fit(config, context, start)]))
    return Width(rows, may_halve=may_halve and is_open, monitor=context.monitor)


def width_of(config: RunConfig, run_dir: RunDir) -> int | None:
    """The width that an attempt's environment names; None where it names none."""
    try:
        rows = read_object(run_dir.environment).get(config.width_field)
    except Unreadable:  # whoever needs it says so
        return None
    return rows if isinstance(rows, int) and not isinstance(rows, bool) and rows > 0 else None


def _rows_that_fit(config: RunConfig, context: Context, start: Parts | None) -> int:
    if not torch.cuda.is_available():
        return config.usual_width
    most = rows_of_a_process(config, num_rows(config, context.data_folder), context.team.size)
    gpus = range(torch.cuda.device_count()) if spreads() else [torch.cuda.current_device()]
    free = [_usable(gpu, memory_share()) for gpu in gpus]
    return max(1, rows_that_fit(config, get_preset(config.preset), free, most, start))


def _usable(gpu: int, share: float) -> int:
    """Bytes of a GPU that this run may use."""
    unused, total = torch.cuda.mem_get_info(gpu)
    free = unused + PROCESS_BYTES["cuda"]  # CUDA's context, which a plan counts, is there as soon as one asks
    return free if share == 1 else min(free, int(share * total))
