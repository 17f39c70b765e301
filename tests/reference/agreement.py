"""Makes tests/fixtures/agreement/: Krippendorff's alpha and Spearman's rank correlation of drawn ratings.

    python tests/reference/agreement.py [--seed N] [--out FOLDER]

Pinned: krippendorff 0.8.1, scipy 1.17.1, numpy 2.4.6. Python 3.11. Ratings are drawn from the seed, so the files are the
same every time. `null`: not defined.
"""

import argparse
import json
import warnings
from pathlib import Path

import krippendorff
import numpy as np
from scipy.stats import spearmanr

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "agreement"


def alpha(ratings, level):
    """None where no unit has two ratings or all ratings of such units are the same."""
    pairable = ratings[:, (~np.isnan(ratings)).sum(axis=0) > 1]
    if len(np.unique(pairable[~np.isnan(pairable)])) < 2:
        return None
    domain = np.unique(ratings[~np.isnan(ratings)])
    return float(krippendorff.alpha(ratings, level_of_measurement=level, value_domain=domain))


def ratings_case(random, name, raters, units, noise, missing, values=5):
    truth = random.integers(1, values + 1, size=units)
    ratings = np.clip(np.rint(truth + noise * random.normal(size=(raters, units))), 1, values)
    ratings[random.random(ratings.shape) < missing] = np.nan
    rows = [[None if np.isnan(value) else int(value) for value in row] for row in ratings]
    return {"name": name, "ratings": rows, "nominal": alpha(ratings, "nominal"), "ordinal": alpha(ratings, "ordinal")}


def pairs_case(name, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rho = float(spearmanr(x, y).statistic)
    return {"name": name, "x": x.tolist(), "y": y.tolist(), "spearman": None if np.isnan(rho) else rho}


def pairs_cases(random):
    shared = random.normal(size=40)
    noisy = lambda: np.round(shared + random.normal(size=40), 6)
    rated = lambda: np.rint(3 + shared + 0.7 * random.normal(size=40))
    return [
        pairs_case("no ties", noisy(), noisy()),
        pairs_case("opposed", noisy(), -noisy()),
        pairs_case("ties on one side", rated(), noisy()),
        pairs_case("ties on both sides", rated(), rated()),
        pairs_case("means of three raters", np.mean([rated() for _ in range(3)], axis=0), noisy()),
        pairs_case("two pairs", np.array([1.0, 2.0]), np.array([4.0, 3.0])),
        pairs_case("one side never varies", np.full(5, 3.0), noisy()[:5]),
        pairs_case("two values", np.sign(noisy()), np.sign(noisy())),
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FIXTURES)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    case = lambda *given, **more: ratings_case(random, *given, **more)
    cases = [
        case("two raters", 2, 30, 0.7, 0.0),
        case("two raters who agree", 2, 30, 0.0, 0.0),
        case("two raters at random", 2, 30, 9.0, 0.0),
        case("three raters, some missing", 3, 25, 0.8, 0.2),
        case("five raters, most missing", 5, 25, 0.6, 0.7),
        case("eight raters", 8, 20, 1.2, 0.1),
        case("preference between two", 3, 30, 0.4, 0.1, values=2),
        case("preference among three", 4, 30, 0.7, 0.3, values=3),
        case("ten values", 3, 30, 1.5, 0.2, values=10),
        case("one unit", 4, 1, 1.0, 0.0),
        case("one rater", 1, 10, 1.0, 0.0),
        case("one value", 3, 10, 0.0, 0.2, values=1),
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, content in [("alpha", cases), ("spearman", pairs_cases(random))]:
        text = json.dumps(content, separators=(",", ":")).replace('},{"name"', '},\n{"name"')
        (arguments.out / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
