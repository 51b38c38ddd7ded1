"""The model as plain numbers.

It travels through redis as JSON and not as a pickle, so whoever can write to redis can spoil a prediction but not
run code; and whoever only predicts needs no scikit-learn.
"""

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


@dataclass(frozen=True)
class Model:
    """A logistic regression: one row of weights and one offset for each species."""

    version: int
    trained_at: str
    accuracy: float
    species: list[str]
    weights: list[list[float]]
    offsets: list[float]

    def probabilities(self, flower: list[float]) -> dict[str, float]:
        """How likely each species is, given the four lengths in centimetres, in the order of FEATURES."""
        scores = [
            sum(weight * length for weight, length in zip(row, flower, strict=True)) + offset
            for row, offset in zip(self.weights, self.offsets, strict=True)
        ]
        highest = max(scores)
        powers = [math.exp(score - highest) for score in scores]
        return {name: power / sum(powers) for name, power in zip(self.species, powers, strict=True)}

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Model":
        return cls(**json.loads(text))


def fit(version: int) -> Model:
    """Train on four fifths of the data, drawn anew for each version, and measure on the rest."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    data = load_iris()
    train_x, test_x, train_y, test_y = train_test_split(
        data.data, data.target, test_size=0.2, stratify=data.target, random_state=version
    )
    regression = LogisticRegression(max_iter=1000).fit(train_x, train_y)
    return Model(
        version=version,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        accuracy=round(float(regression.score(test_x, test_y)), 4),
        species=[str(name) for name in data.target_names],
        weights=regression.coef_.tolist(),
        offsets=regression.intercept_.tolist(),
    )
