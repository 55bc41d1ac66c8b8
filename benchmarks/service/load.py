"""Everyday load beside the measurements: open pages that poll, and supervisors that report."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.service.plan import (
    BATCH,
    POLL_SECONDS,
    POLLERS,
    REPORT_SECONDS,
    REPORTED,
    REPORTERS,
    Service,
)


@contextmanager
def load(service: Service) -> Iterator[list[str]]:
    """Inside the block 20 pages poll and 4 supervisors report; yields what went wrong."""
    over, wrong = threading.Event(), []

    def repeat(work: Callable[[int], None], pause: float, start: float) -> None:
        number = 0
        over.wait(start)
        while not over.is_set():
            try:
                work(number)
            except Exception as error:
                wrong.append(f"{type(error).__name__}: {error}")
            number += 1
            over.wait(pause)

    def poll(number: int) -> None:
        (service.list_runs, service.list_filtered, service.read_metric)[number % 3](number)

    def report(reporter: int) -> Callable[[int], None]:
        return lambda number: service.log_metrics(reporter, number * REPORTED, REPORTED)

    jobs: list[tuple[Callable[[int], None], float, float]]
    jobs = [(poll, POLL_SECONDS, POLL_SECONDS * number / POLLERS) for number in range(POLLERS)]
    jobs += [(report(number), REPORT_SECONDS, REPORT_SECONDS * number / REPORTERS) for number in range(REPORTERS)]
    threads = [threading.Thread(target=repeat, args=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def ingest_rate(service: Service, seconds: float) -> float:
    """Metrics per second that four reporters bring in at full speed."""
    counts = [0] * REPORTERS
    began = time.perf_counter()

    def work(reporter: int) -> None:
        first = 10_000_000
        while time.perf_counter() - began < seconds:
            service.log_metrics(reporter, first + counts[reporter], BATCH)
            counts[reporter] += BATCH

    threads = [threading.Thread(target=work, args=(number,)) for number in range(REPORTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)
