"""Starts the ranks of a run through Accelerate's launcher and finds out how the run ended.

What `accelerate launch --multi_gpu` does, in this process: on a machine without a GPU too, where the ranks use the CPU
(`accelerate launch --cpu` would start several processes only through MPI). The ranks find each other through files in a
private folder, so nothing listens on the network but gloo and NCCL themselves, and those on the loopback interface.
"""

import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch
from accelerate.commands.launch import launch_command, launch_command_parser
from accelerate.utils import patch_environment
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from memgen.attempt import Ending
from memgen.contract import ways_out
from memgen.contract.config import RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.events import Failed
from memgen.contract.rows import rows_to_share
from memgen.contract.rundir import EXIT_ERROR, RunDir
from memgen.contract.threads import threads_setting
from memgen.parallel.rank import RankFolder
from memgen.stop import StopRequest

# How ranks die when another has: by the launcher, or by NCCL.
ECHOES = (signal.SIGTERM, signal.SIGABRT)


def check_num_processes(config: RunConfig, num_processes: int) -> None:
    """Refuse more processes than there are GPUs, or rows to share.

    Raises:
        BadInput: `too_many_processes`.
    """
    gpus = torch.cuda.device_count()
    for most, what in ((gpus or num_processes, "visible GPUs"), (rows_to_share(config), "rows to share in this run")):
        if num_processes > most:
            raise BadInput(
                "too_many_processes",
                f"there are {most} {what}, and each process needs one",
                field="--num-processes",
                value=num_processes,
                way_out=f"Choose at most {most}.",
            )


def launch(run_dir: RunDir, earlier: RunDir | None, num_processes: int) -> Ending:
    """Run an attempt whose folder is prepared with several ranks, to its end.

    A SIGINT or SIGTERM to this process asks all ranks to save and stop; a second one, and every other end of this
    process, ends them at once (on Linux by the kernel).
    """
    with tempfile.TemporaryDirectory(prefix="memgen-ranks-") as name:
        folder = RankFolder(Path(name))
        StopRequest().listen(relay=folder.stop)
        logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)  # `cause` says it
        words = ["--out", str(run_dir.path), "--folder", name]
        words += ["--resume", str(earlier.path)] if earlier else []
        try:
            with patch_environment(**_environment(folder, num_processes)):
                launch_command(launch_command_parser().parse_args([*_options(num_processes), *words]))
        except ChildFailedError as error:
            codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
            return cause(folder, codes)
        return folder.endings()[0]


def _options(num_processes: int) -> list[str]:
    """Words of `accelerate launch`; each is named, so that a config file of the user's changes nothing."""
    options = {
        "num_processes": num_processes,
        "num_machines": 1,
        "machine_rank": 0,
        "num_cpu_threads_per_process": _threads(num_processes),
        "mixed_precision": "no",
        "dynamo_backend": "no",
        "gpu_ids": "all",
        "main_process_port": 0,  # a free one; nobody listens there, as the rendezvous is a file
        "rdzv_backend": "c10d",
        "rdzv_conf": "store_type=file",
        "max_restarts": 0,
        "monitor_interval": 0.1,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return ["--multi_gpu", *words, "--module", "memgen.parallel.rank"]


def _environment(folder: RankFolder, num_processes: int) -> dict[str, str]:
    threads = str(_threads(num_processes))
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    return {
        "MEMGEN_SUPERVISOR_PID": str(os.getpid()),
        "MEMGEN_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "GLOO_SOCKET_IFNAME": loopback,
        "NCCL_SOCKET_IFNAME": loopback,
        # Options of torchrun, which Accelerate starts, and which its own command line does not have.
        "PET_RDZV_ENDPOINT": str(folder.path / "launcher"),
        "PET_SIGNALS_TO_HANDLE": "SIGQUIT",  # the others are ours
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # else it opens a port on all interfaces
    }


def _threads(num_processes: int) -> int:
    """Threads of one rank."""
    return max(1, (threads_setting() or os.cpu_count() or 1) // num_processes)


def cause(folder: RankFolder, exit_codes: dict[int, int]) -> Ending:
    """What ended the run: a rank that was killed, else the first that failed. What the others say is its echo."""
    signals = {rank: -code for rank, code in exit_codes.items() if code < 0}
    struck = {rank: number for rank, number in signals.items() if number not in ECHOES}
    failures = {ending.failed.time: ending for ending in folder.endings().values() if ending.failed}
    unexplained = [rank for rank, code in exit_codes.items() if code > 0]
    if not struck and failures:
        return failures[min(failures)]
    if not struck and unexplained:
        message = f"process {unexplained[0]} of the run ended with exit code {exit_codes[unexplained[0]]}"
        failed = Failed(time=time.time(), code="error", message=message, way_out="Its error is in the log.")
        return Ending(exit_code=EXIT_ERROR, failed=failed)
    rank, number = next(iter((struck or signals).items()))
    failed = Failed(
        time=time.time(),
        code="killed",
        message=f"process {rank} of the run was killed by signal {number} ({signal.Signals(number).name})",
        way_out=ways_out.of_signal(number),
    )
    return Ending(exit_code=EXIT_ERROR, failed=failed)
