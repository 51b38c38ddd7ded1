"""Where the models are kept: redis, the latest one only."""

import os

import redis

from iris.model import Model

LATEST = "iris:model"
COUNTER = "iris:versions"


class Store:
    def __init__(self) -> None:
        url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
        self._redis = redis.Redis.from_url(url, decode_responses=True, socket_timeout=2)

    def next_version(self) -> int:
        return int(self._redis.incr(COUNTER))

    def publish(self, model: Model) -> None:
        self._redis.set(LATEST, model.to_json())

    def latest(self) -> Model | None:
        """The model published last, None before the first one. Raises redis.RedisError when redis is away."""
        text = self._redis.get(LATEST)
        return Model.from_json(text) if text else None
