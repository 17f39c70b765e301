"""Makes tests/fixtures/features/cases.json: what numpy and scikit-learn say about two sets of feature vectors.

    python tests/reference/features.py [--seed N] [--out FOLDER]

Pinned: numpy 2.4.6, scikit-learn 1.9.1. Python 3.11. Vectors are drawn from the seed, so the file is the same every time.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "features"


def u_centred(kernel):
    """Szekely and Rizzo (2014): the unbiased HSIC is the mean product of two matrices centred like this."""
    n = len(kernel)
    kernel = kernel - np.diag(np.diag(kernel))
    rows = kernel.sum(axis=1) / (n - 2)
    centred = kernel - rows[:, None] - rows[None, :] + kernel.sum() / ((n - 1) * (n - 2))
    return centred - np.diag(np.diag(centred))


def debiased_cka(x, y):
    n = len(x)
    hsic = lambda a, b: (a * b).sum() / (n * (n - 3))
    k, l = u_centred(x @ x.T), u_centred(y @ y.T)
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def unbiased_mmd2(x, y):
    both = np.vstack([x, y])
    distances = pairwise_distances(both)
    bandwidth = np.median(distances[np.triu_indices(len(both), 1)])
    kernel = lambda a, b: rbf_kernel(a, b, gamma=1 / (2 * bandwidth**2))
    off = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
    return off(kernel(x, x)) + off(kernel(y, y)) - 2 * kernel(x, y).mean()


def classified(x, y, folds):
    both, labels = np.vstack([x, y]), np.array([1] * len(x) + [-1] * len(y))
    classifier = make_pipeline(StandardScaler(), RidgeClassifier(alpha=both.shape[1]))
    split = PredefinedSplit(folds)
    decisions = cross_val_predict(classifier, both, labels, cv=split, method="decision_function")
    predicted = cross_val_predict(classifier, both, labels, cv=split)
    return decisions.tolist(), float(np.mean(predicted != labels))


def case(random, n, width, shift, name):
    scale = np.exp(random.normal(size=width))
    x = random.normal(size=(n, width)) * scale + 2
    y = (random.normal(size=(n, width)) + shift * random.normal(size=width)) * scale + 2
    if name == "a column that never varies":
        x[:, 0] = y[:, 0] = 3.0
    turned = x @ random.normal(size=(width, width)) + 0.5 * random.normal(size=(n, width))
    folds = np.concatenate([random.permutation(np.arange(n) % 5) for _ in range(2)]).tolist()
    x, y, turned = (np.round(v, 6) for v in (x, y, turned))
    decisions, error = classified(x, y, folds)
    return {
        "name": name, "target": x.tolist(), "source": y.tolist(), "turned": turned.tolist(), "folds": folds,
        "decisions": decisions, "error": error, "mmd2": unbiased_mmd2(x, y),
        "cka_turned": debiased_cka(x, turned), "cka_source": debiased_cka(x, y),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FIXTURES)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    cases = [
        case(random, 20, 4, 0.0, "the same distribution"),
        case(random, 20, 4, 0.7, "shifted"),
        case(random, 12, 20, 0.4, "more features than vectors"),
        case(random, 11, 3, 0.5, "a column that never varies"),
        case(random, 15, 6, 3.0, "far apart"),
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "cases.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
