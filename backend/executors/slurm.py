"""Slurm, by its command line: `sbatch`, `squeue` and `scancel`, whose forms have not changed for many versions.

Nothing is asked of its accounting, which many clusters do not have. Jobs are found by their names, so a number that was
lost on its way is found again. A job's environment is what these commands are given: it holds no secret.
"""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from backend.executors.executor import NotAnswering, Order, Phase, Refused, Site, Size, TheirJob
from memgen.contract.inheritance import inherited

PATIENCE = 20.0  # seconds until a command counts as unanswered; a controller that is away is waited for inside them
BUILT_IN = Path(__file__).with_name("job.sh")
OUR_FLAGS = frozenset(
    {
        "--array", "--chdir", "--error", "--export", "--export-file", "--job-name", "--no-requeue", "--open-mode",
        "--output", "--parsable", "--requeue", "--signal", "--test-only", "--wait", "--wrap", "-D", "-J", "-W", "-a",
        "-e", "-o",
    }
)  # fmt: skip
"""What is set here, or would make of a job something else than one worker."""
REASONS = {
    "BeginTime": "its earliest begin has not come",
    "Dependency": "a job that it depends on has not ended",
    "JobArrayTaskLimit": "the limit of its array is reached",
    "JobHeldAdmin": "an administrator holds it back",
    "JobHeldUser": "it is held back; `scontrol release` lets it go",
    "Licenses": "no license is free",
    "NodeDown": "a node that it needs is down",
    "None": "Slurm has not looked at it yet",
    "PartitionDown": "the partition takes no jobs now",
    "PartitionInactive": "the partition takes no jobs now",
    "PartitionNodeLimit": "it asks for more nodes than the partition gives",
    "PartitionTimeLimit": "it asks for more time than the partition gives",
    "Priority": "jobs of a higher priority stand before it",
    "ReqNodeNotAvail": "a node that it needs can't be had now",
    "Reservation": "its reservation has not begun",
    "Resources": "no node is free that has what it asks for",
}
"""Slurm's reasons in words; others are shown as Slurm writes them."""
_PENDING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_RUNNING = {"RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
_ENDS = {
    "BOOT_FAIL": "its node could not be started",
    "CANCELLED": "somebody cancelled it",
    "COMPLETED": "it ended",
    "DEADLINE": "its deadline passed",
    "FAILED": "it ended with an error",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "memory ran out",
    "PREEMPTED": "another job took its place",
    "REVOKED": "another cluster took it over",
    "TIMEOUT": "its time was over",
}
_COLUMNS = "%i|%T|%r|%j"  # the name is last, as it is the one that may hold anything


def _check_flags(flags: tuple[str, ...]) -> tuple[str, ...]:
    for flag in flags:
        name = flag.partition("=")[0] if flag.startswith("--") else flag[:2]
        if re.fullmatch(r"--[a-z][a-z\-]*|-[A-Za-z]", name) is None:
            raise ValueError(f"{flag!r} is no flag of sbatch; write each as one word, e.g. `--partition=gpu`")
        if any(name == one or (name.startswith("--") and one.startswith(name)) for one in OUR_FLAGS):
            raise ValueError(f"{flag!r} is set by MemGen Studio itself")
    return flags


Flags = Annotated[tuple[str, ...], AfterValidator(_check_flags)]
"""Words of sbatch's command line."""


class SlurmSize(Size):
    """What a job may be given, and the flags that ask for it."""

    flags: Flags = ()
    """Added to those of the site, e.g. `--gres=gpu:1`."""


class SlurmSite(Site):
    """A partition, or another part of a cluster, as the operator describes it."""

    executor: Literal["slurm"]
    sizes: Annotated[tuple[SlurmSize, ...], Field(min_length=1, max_length=50)]
    """What a job may be given; a run gets the first that holds it."""
    flags: Flags = ()
    """Of every job, e.g. `--partition=gpu`, `--account=lab` and `--time=04:00:00`."""
    template: Path = BUILT_IN
    """Script that a job runs, seen from the operator's file; ends with `exec "$@"`."""
    signal_seconds: int = Field(default=120, ge=10, le=65_535)
    """Seconds before the end of a job's time at which its run saves and stops, to go on in another job."""

    @field_validator("template")
    @classmethod
    def _is_a_script(cls, path: Path, info: ValidationInfo) -> Path:
        path = (info.context or {}).get("folder", Path()) / path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the script {path} can't be read: {error}") from None
        if not text.startswith("#!") or not re.search(r"^\s*exec\b.*\"\$@\"\s*$", text, re.MULTILINE):
            raise ValueError('a script begins with a line like `#!/bin/bash` and ends with `exec "$@"`')
        return path

    @property
    def offers(self) -> Sequence[Size]:
        """What a job may be given."""
        return self.sizes

    def submit(self, order: Order) -> str:
        """`sbatch`, which says nothing but the job's number."""
        assert isinstance(order.size, SlurmSize)
        # without a requeue by Slurm itself: the attempt is lost then, and the next one is another job
        words = [
            "sbatch", "--parsable", f"--job-name={order.name}", f"--output={order.output}", "--open-mode=append",
            f"--chdir={order.output.parent}", "--export=ALL", f"--signal=B:USR1@{self.signal_seconds}", "--no-requeue",
            *self.flags, *order.size.flags, str(self.template), *order.command,
        ]  # fmt: skip
        code, out, error = _run(words)
        number = out.strip().partition(";")[0]  # a cluster's name may follow
        if code == 0 and number.isdecimal():
            return number
        text = _said(error or out)
        if is_away(text):
            raise NotAnswering(text)
        raise Refused(text)

    def ask(self, prefix: str) -> list[TheirJob]:
        """`squeue` of this user's jobs; those that ended stay in it for five minutes, as a rule."""
        words = ["squeue", "--noheader", "--states=all", f"--user={os.geteuid()}", f"--format={_COLUMNS}"]
        code, out, error = _run(words)
        if code != 0:
            raise NotAnswering(_said(error or out))
        jobs = [line.split("|", 3) for line in out.splitlines()]
        return [_job(*columns) for columns in jobs if len(columns) == 4 and columns[3].startswith(prefix)]

    def cancel(self, numbers: Sequence[str]) -> None:
        """`scancel`; it complains of those that have ended already."""
        code, _, error = _run(["scancel", *numbers])
        if code != 0 and is_away(error):
            raise NotAnswering(_said(error))


def is_away(text: str) -> bool:
    """Whether a command's words mean that the controller did not answer, and not that it said no."""
    signs = ("unable to contact", "connection refused", "timed out", "socket", "zero bytes", "not responding")
    return any(sign in text.lower() for sign in signs)


def phase_of(state: str, reason: str) -> tuple[Phase, str]:
    """Where a job is, and what there is to say of it.

    Args:
        state: as `squeue` writes it.
        reason: why it is pending, or more about its end.
    """
    if state in _PENDING:
        words = REASONS.get(reason)
        shown = reason.strip("() ") or "None"
        return "pending", f"{words} ({shown})" if words else shown
    if state == "COMPLETING":
        return "ending", ""
    if state in _RUNNING:
        return "running", "it is suspended" if state == "SUSPENDED" else ""
    return "cancelled" if state == "CANCELLED" else "ended", _ENDS.get(state, state)


def _job(number: str, state: str, reason: str, name: str) -> TheirJob:
    phase, words = phase_of(state, reason)
    return TheirJob(number, name, phase, words)


def _run(words: Sequence[str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(
            words, env=inherited("job", os.environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
            check=False, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotAnswering(f"`{words[0]}` has not answered within {PATIENCE:g} s") from None
    except OSError as error:
        raise NotAnswering(f"`{words[0]}` can't be started: {error.strerror}") from None
    return done.returncode, done.stdout, done.stderr


def _said(text: str) -> str:
    """The last line of what a command said, without its own name before it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (
        re.sub(r"^(sbatch|squeue|scancel|slurm_\w+): (error: )?", "", lines[-1])[:500] if lines else "it said nothing"
    )
