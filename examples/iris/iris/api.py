"""The HTTP API: it answers each request with the model that was published last."""

import logging
import time
from typing import Annotated

import redis
from fastapi import Depends, FastAPI, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, Field

from iris.model import FEATURES, Model
from iris.store import Store

app = FastAPI(title="iris")
store = Store()

# The access log is for people's requests; an engine's checks come every few seconds.
CHECKS = ("/health", "/metrics")
logging.getLogger("uvicorn.access").addFilter(lambda record: record.args[2] not in CHECKS)

PREDICTIONS = Counter("iris_predictions_total", "Predictions made", ["species"])
SECONDS = Histogram("iris_prediction_seconds", "Time to fetch the model and predict")
VERSION = Gauge("iris_model_version", "Version of the model used last")
ACCURACY = Gauge("iris_model_accuracy", "Its accuracy on the held-out flowers")

Length = Annotated[float, Field(gt=0, lt=30, description="in centimetres")]


class Flower(BaseModel):
    sepal_length: Length
    sepal_width: Length
    petal_length: Length
    petal_width: Length


def latest() -> Model:
    """The model in force, or 503 with the reason."""
    try:
        model = store.latest()
    except redis.RedisError as error:
        raise HTTPException(503, f"the model store does not answer: {error}") from error
    if model is None:
        raise HTTPException(503, "no model has been trained yet")
    VERSION.set(model.version)
    ACCURACY.set(model.accuracy)
    return model


Latest = Annotated[Model, Depends(latest)]


@app.get("/")
def info(model: Latest) -> dict:
    return {
        "name": "iris",
        "model": {"version": model.version, "trained_at": model.trained_at, "accuracy": model.accuracy},
        "species": model.species,
        "try": "POST /predict",
    }


@app.get("/health")
def health(model: Latest) -> dict:
    return {"status": "ok", "model": model.version}


@app.post("/predict")
def predict(flower: Flower) -> dict:
    start = time.perf_counter()
    model = latest()
    chances = model.probabilities([getattr(flower, name) for name in FEATURES])
    species = max(chances, key=chances.__getitem__)
    PREDICTIONS.labels(species).inc()
    SECONDS.observe(time.perf_counter() - start)
    return {
        "species": species,
        "probabilities": {name: round(chance, 4) for name, chance in chances.items()},
        "model": model.version,
    }


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
