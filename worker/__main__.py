"""`python -m worker [--slots 0 1]`: announce this machine and serve its slots; with `--once` do one attempt and end."""

import argparse
import logging
import os
import sys
import threading
import time
from pathlib import Path

from backend.api.client import ApiError, Client, Unreachable
from backend.api.schemas import Announce, SlotReport
from backend.serving.redis_address import QUEUE, refuse_wrong_password
from memgen.contract.data_sets.registry import say_broken_plugins
from memgen.contract.errors import BadInput
from memgen.contract.home import home_error, look_into_home
from memgen.contract.inheritance import added_names
from memgen.contract.machine import machine_name, this_boot
from memgen.contract.process import begin_process
from memgen.contract.rundir import EXIT_BAD_INPUT, write_whole
from memgen.contract.service_files import heard_file
from worker.app import make_app
from worker.gpus import keep_driver_open
from worker.once import work_once
from worker.runners import SlotRunner
from worker.settings import Settings
from worker.slots import Slot, check_slots, find_slots, remove_old_locks, threads_per_trainer
from worker.versions import installed_versions

log = logging.getLogger("worker")
PAUSE_UNHEARD = 2.0  # seconds between two announcements while none is heard


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal ends it; running trainers go on."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument(
        "--slots", nargs="+", metavar="GPUS", help="slots: GPU numbers, commas join several; or cpu (default: all GPUs)"
    )
    parser.add_argument(
        "--healthy", action="store_true", help="only say, by the exit code, whether a worker here was heard lately"
    )
    parser.add_argument(
        "--once",
        metavar="TICKET",
        type=Path,
        help="do the one attempt that this ticket is for, and end",
    )
    given = parser.parse_args(arguments)
    begin_process()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    say_broken_plugins(log.warning)
    if given.once is not None:
        return _once(given.once)
    try:
        settings = Settings.read()
        if given.healthy:
            return 0 if was_heard_lately(settings) else 1
        look_into_home(settings.home)
        names = given.slots or settings.slots.split()
        slots = [Slot.parse(name) for name in names] or find_slots()
        check_slots(slots)
        token = settings.token()
        refuse_wrong_password(settings.redis_url)
        added_names(os.environ)  # refuses what supervisors could not use
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f"error: {home_error(settings.home, error)}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_INPUT
    os.environ["MEMGEN_WORKER_TOKEN"] = token  # supervisors inherit it
    remove_old_locks(settings.home)
    news = threading.Event()
    threads = threads_per_trainer(len(slots))
    runners = [SlotRunner(slot, settings, threads, changed=news.set) for slot in slots]
    announcer = threading.Thread(target=_announce, args=(settings, token, runners, news), daemon=True)
    announcer.start()
    for runner in runners:
        runner.start()
    app = make_app(settings.redis_url, runners)
    log.info("serving slots %s", " ".join(slot.name for slot in slots))
    app.worker_main(
        [
            "worker",
            "--pool",
            "threads",
            "--concurrency",
            "1",
            "--queues",
            QUEUE,
            "--loglevel",
            "WARNING",
            "--without-gossip",
            "--without-mingle",
            "--hostname",
            f"memgen-{os.getpid()}@{this_boot().rpartition('/')[2]}",  # two machines may have one name
        ]
    )
    return 0


def _once(ticket: Path) -> int:
    try:
        work_once(ticket)
    except (BadInput, ApiError, Unreachable) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_INPUT if isinstance(error, BadInput) else 1
    return 0


def _announce(settings: Settings, token: str, runners: list[SlotRunner], news: threading.Event) -> None:
    said = ""
    with Client(settings.backend_url, token) as client:
        while True:
            news.clear()
            pause, trouble = announce_once(client, settings, runners)
            if (now := "; ".join(trouble)) != said:  # once per reason, not every few seconds
                said = now
                if said:
                    log.warning("%s", said)
            news.wait(pause)


def announce_once(client: Client, settings: Settings, runners: list[SlotRunner]) -> tuple[float, list[str]]:
    """Say that this worker is alive; returns the seconds until it is to be said again, and what went wrong."""
    reports, trouble = reports_of(runners)  # anew: with what is free now
    try:
        keep_driver_open(any(one.device == "cuda" for one in reports) and not any(one.sick for one in reports))
    except BadInput as error:
        trouble.append(f"the driver can't be opened or let go: {error}")
    try:
        sign = Announce(
            host=machine_name(), boot_id=this_boot(), pid=os.getpid(), slots=reports, versions=installed_versions(),
            limits=settings.limits, clock=time.time(),
        )  # fmt: skip
        reply = client.announce(sign)
        pause = reply.announce_seconds
        if reply.refusal is not None:
            trouble.append(f"this machine is given no work: {reply.refusal}")
        write_whole(heard_file(settings.home, machine_name()), f"{pause}\n")
    except (Unreachable, ApiError, OSError, ValueError) as error:  # the last: what no announcement can say
        return PAUSE_UNHEARD, [*trouble, str(error)]
    return pause, trouble


def was_heard_lately(settings: Settings) -> bool:
    """Whether the backend heard a worker of this machine within the time of three signs of life."""
    try:
        pause = float(heard_file(settings.home, machine_name()).read_text(encoding="utf-8"))
        return time.time() - heard_file(settings.home, machine_name()).stat().st_mtime < 3 * pause
    except (FileNotFoundError, ValueError):
        return False


def reports_of(runners: list[SlotRunner]) -> tuple[list[SlotReport], list[str]]:
    """How the backend is to see the slots; one that can't be told of is left out, and why."""
    reports, trouble = [], []
    for runner in runners:
        try:
            reports.append(runner.report())
        except (BadInput, ValueError) as error:  # the other slots go on working
            trouble.append(f"slot {runner.name} can't be used now: {error}")
    return reports, trouble


if __name__ == "__main__":
    sys.exit(main())
