"""The Celery application: one queue, one task, a pool of threads. The task is a doorbell and does no work."""

from celery import Celery

from backend.serving.redis_address import APPLICATION, QUEUE, TASK, for_celery
from worker.runners import SlotRunner


def make_app(redis_url: str, runners: list[SlotRunner]) -> Celery:
    """The application whose task rings these runners.

    Args:
        redis_url: `redis://HOST:PORT/DB` or `unix:///PATH`.
        runners: one per slot.
    """
    app = Celery(APPLICATION, broker=for_celery(redis_url))
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=False,  # late acknowledgement would hand a long job out twice after the visibility time-out
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def ring() -> None:
        for runner in runners:
            runner.ring()

    return app
