"""The doorbell: a Celery message that says "there is work". Lost, doubled or late ones change nothing."""

import logging

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from backend.serving import redis_address

log = logging.getLogger(__name__)

MOST_RINGS = 100  # that are kept while no worker takes them: more would fill Redis over a weekend


class Doorbell:
    """Rings the workers.

    Args:
        redis_url: `redis://HOST:PORT/DB` or `unix:///PATH`.
    """

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._redis = redis_address.connect(redis_url)
        self._app = Celery(redis_address.APPLICATION, broker=redis_address.for_celery(redis_url))
        self._app.conf.update(
            task_ignore_result=True,
            task_serializer="json",
            broker_connection_timeout=1,
            broker_transport_options={"socket_connect_timeout": 1, "socket_timeout": 1, "max_retries": 0},
        )

    def ring(self) -> str:
        """Ring once. Never raises for a broker that is away: the reconciler rings again.

        Returns:
            `ok`, or why it could not be rung.
        """
        state = self.state()
        if state != "ok":  # asked first, as a failed publication takes several time-outs
            log.warning("doorbell not rung: %s", state)
            return state
        try:
            if self._redis.llen(redis_address.QUEUE) >= MOST_RINGS:  # nobody takes them: these are enough
                return "ok"
            self._app.send_task(redis_address.TASK, queue=redis_address.QUEUE, retry=False, expires=60)
        except (OperationalError, redis.RedisError, OSError) as error:
            log.warning("doorbell not rung: %s", redis_address.in_words(error))
            return type(error).__name__
        return "ok"

    def state(self) -> str:
        """`ok`, or why Redis can't be reached; answers within a second."""
        return redis_address.state(self._url)

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
        self._redis.close()
