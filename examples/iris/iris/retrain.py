"""Trains a new model every RETRAIN_SECONDS, until it is told to stop: `python -m iris.retrain`."""

import os
import signal
import threading

import redis

from iris.store import Store
from iris.train import train


def main() -> None:
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    period = float(os.environ.get("RETRAIN_SECONDS", "30"))
    store = Store()
    print(f"retraining every {period:g} s", flush=True)
    while not stop.wait(period):
        try:
            train(store)
        except redis.RedisError as error:
            print(f"no model trained, redis is away: {error}", flush=True)
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
