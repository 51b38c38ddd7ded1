"""A test of a running deployment: the API is asked for flowers whose species is known."""

import json
import sys
import urllib.request

URL = "http://api:8000/predict"
KNOWN = {
    "setosa": (5.1, 3.5, 1.4, 0.2),
    "versicolor": (5.7, 2.8, 4.1, 1.3),
    "virginica": (6.3, 2.9, 5.6, 1.8),
}
FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def ask(lengths: tuple) -> dict:
    body = json.dumps(dict(zip(FEATURES, lengths))).encode()
    request = urllib.request.Request(URL, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def main() -> int:
    wrong = 0
    for species, lengths in KNOWN.items():
        answer = ask(lengths)
        print(f"{species}: model {answer['model']} says {answer['species']}")
        wrong += answer["species"] != species
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
