"""Makes tests/fixtures/statistics/cases.json: what SciPy, scikit-learn and numpy say that src/analysis/ has to say.

    python tests/reference/statistical.py [--seed N] [--out FOLDER]

Pinned: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. Python 3.11. All data are drawn from the seed, so the file is the same
every time.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
from scipy import integrate, optimize, special, stats
from scipy.spatial.distance import jensenshannon
from sklearn.calibration import calibration_curve

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "statistics"
RESAMPLES = 20_000


def noncentral_f(f, a, b, c):
    """By the mixture over the denominator: SciPy's own has no answer for large noncentralities."""
    below = lambda x: stats.ncx2.cdf(f * a * x / b, a, c) * stats.chi2.pdf(x, b)
    low, high = stats.chi2.ppf([1e-16, 1 - 1e-15], b)
    found = integrate.quad(below, low, high, epsabs=1e-13, epsrel=1e-12, limit=1000)[0]
    if c < 500:
        assert abs(found - stats.ncf.cdf(f, a, b, c)) < 1e-9
    return found


def distributions():
    """Rows of arguments, last the value."""
    freedoms = [1, 2, 2.5, 9, 49, 499, 12345]
    ts = [-40, -3.2, -0.4, 0, 1e-3, 1.3, 4.3, 12]
    shares = [0.001, 0.2, 0.5, 0.975, 0.9999]
    fs = [0.01, 0.7, 1.0, 3.5, 40.0]
    pairs = [(1, 10), (2, 3), (3, 40), (7, 180)]
    noncentral = [
        (f, a, b, c) for f, (a, b), c in itertools.product(fs, pairs, [0.3, 5.0, 60.0, 700.0])
    ] + [(1500.0, 3, 40, 5000.0), (900.0, 7, 180, 6000.0)]
    large = [(1e4, 3, 40, 3e4), (2e5, 7, 180, 1.2e6)]
    return {
        "normal": [(x, stats.norm.cdf(x)) for x in [-7, -2.5, -1, 0, 0.3, 1.96, 5, 9]],
        "t": [(t, v, stats.t.cdf(t, v)) for t, v in itertools.product(ts, freedoms)],
        "t_quantile": [(p, v, stats.t.ppf(p, v)) for p, v in itertools.product(shares, freedoms)],
        "f": [(f, a, b, stats.f.cdf(f, a, b)) for f, (a, b) in itertools.product(fs, pairs)],
        "noncentral_f": [(*row, noncentral_f(*row)) for row in noncentral],
        "noncentral_f_large": [(*row, noncentral_f(*row)) for row in large],
    }


def jensen_shannon(random):
    cases = []
    for words in (3, 20, 200):
        one, other = random.poisson(2, words), random.poisson(random.exponential(2, words))
        one[0] = other[-1] = 5
        divergence = jensenshannon(one / one.sum(), other / other.sum(), base=2) ** 2
        cases.append({"one": one.tolist(), "other": other.tolist(), "divergence": divergence})
    return cases


def detectable(random):
    cases = []
    for images in (5, 20, 100, 500):
        differences = random.normal(0.02, 0.3, images)
        error = differences.std(ddof=1) / np.sqrt(images)
        smallest = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * error
        # The power of the two-sided paired t test against a true difference as large, by the noncentral t distribution.
        critical, moved = stats.t.ppf(0.975, images - 1), smallest / error
        power = stats.nct.sf(critical, images - 1, moved) + stats.nct.cdf(-critical, images - 1, moved)
        cases.append({"differences": differences.tolist(), "smallest": smallest, "power": power})
    return cases


def expected_best(random):
    """By all subsets where those are few, and by the estimator of Tang et al. (2020): sums of binomials."""
    cases = []
    for runs in (1, 6, 9, 60):
        scores = random.normal(0.5, 0.2, runs).round(2)
        ordered, places = np.sort(scores), np.arange(1, runs + 1)
        weights = [special.comb(places - 1, n - 1) / special.comb(runs, n) for n in places]
        expected = [float(weight @ ordered) for weight in weights]
        if runs < 10:
            enumerated = [np.mean([max(s) for s in itertools.combinations(scores, n)]) for n in places]
            assert np.allclose(expected, enumerated, rtol=0, atol=1e-12)
        cases.append({"scores": scores.tolist(), "expected": expected})
    return cases


def randomisation(random):
    """Exact throughout: SciPy turns every pattern of signs."""
    cases = []
    for images in (2, 5, 8, 12, 13, 16, 18):
        differences = random.normal(0.3, 1.0, images).round(3)
        found = stats.permutation_test(
            (differences,), lambda x, axis: x.sum(axis=axis), permutation_type="samples", vectorized=True,
            n_resamples=np.inf, alternative="two-sided",
        )
        cases.append({"differences": differences.tolist(), "p": found.pvalue})
    return cases


def bootstrap(random):
    values = random.normal(0.4, 0.2, 60) ** 2
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=200_000, method="percentile", confidence_level=0.95, rng=random, batch=1000,
    )
    means = random.normal(size=997)
    shares = [0.0, 0.025, 0.31, 0.5, 0.975, 1.0]
    return {
        "values": values.tolist(),
        "low": found.confidence_interval.low, "high": found.confidence_interval.high,
        "means": means.tolist(), "shares": shares, "quantiles": np.quantile(means, shares).tolist(),
    }


def normal_equivalents():
    """Statistic, images, and the normal value as rare as Student's t, by exact quantiles, scaled to resampled means."""
    rows = []
    for t, images in itertools.product([0.0, 0.5, 1.5, 2.5, 3.5, 5.0], [10, 20, 50, 200, 1000]):
        freedom = images - 1
        rows.append((t, images, stats.norm.isf(stats.t.sf(t, freedom)) * np.sqrt(freedom / images)))
    return rows


def resampled(random, rows):
    for _ in range(RESAMPLES):
        yield random.integers(0, rows.shape[1], rows.shape[1])


def comparison(random):
    """Six runs on 40 images: the leads of the best, corrected by the largest studentised difference of all pairs (Romano and
    Wolf 2005), and what the best scores where it was not chosen (Tsamardinos et al. 2018)."""
    runs = random.normal(0.4, 0.15, 40) + random.normal(0, 0.1, (6, 40)) + np.array([[0.06, 0, 0, 0.03, 0.02, -0.04]]).T
    runs = runs.round(4)
    means = runs.mean(axis=1)
    best = int(means.argmax())
    errors = (runs[:, None] - runs[None]).std(axis=2, ddof=1) / np.sqrt(40)
    np.fill_diagonal(errors, np.inf)
    largest, out_of_bag = [], []
    for drawn in resampled(random, runs):
        centred = runs[:, drawn].mean(axis=1) - means
        largest.append((abs(centred[:, None] - centred[None]) / errors).max())
        left = np.setdiff1d(np.arange(40), drawn)
        out_of_bag.append(runs[runs[:, drawn].mean(axis=1).argmax(), left].mean())
    others = [other for other in range(6) if other != best]
    t = [(means[best] - means[other]) / errors[best, other] for other in others]
    as_normal = [stats.norm.isf(stats.t.sf(t, 39)) * np.sqrt(39 / 40) for t in t]
    adjusted = [float(np.mean(np.array(largest) >= value)) for value in as_normal]
    return {
        "runs": runs.tolist(), "best": best, "adjusted": adjusted,
        "corrected": [np.mean(out_of_bag), *np.quantile(out_of_bag, [0.025, 0.975])],
    }


def calibration(random):
    confidence = random.beta(4, 1.5, 700)
    right = random.random(700) < confidence**1.5
    edges = np.arange(16) / 15
    place = np.digitize(confidence, edges, right=True)
    gaps = [abs(right[place == b].sum() - confidence[place == b].sum()) for b in range(1, 16)]
    # scikit-learn's bins, none of whose edges is hit.
    accuracy, mean = calibration_curve(right, confidence, n_bins=15, strategy="uniform")
    counts = np.histogram(confidence, edges)[0]
    ece = float(counts[counts > 0] @ abs(accuracy - mean) / 700)
    assert abs(ece - sum(gaps) / 700) < 1e-12
    return {
        "confidence": confidence.tolist(), "right": right.tolist(),
        "ece": ece, "mean": confidence.mean(), "accuracy": right.mean(),
    }


def replication(random):
    """Mean squares of the two-way table, variances of its margins, half-widths of Student's t added by squares (Howe 1974)."""

    def parts(y):
        seeds, images = y.shape
        rest = y - y.mean(1, keepdims=True) - y.mean(0, keepdims=True) + y.mean()
        noise = (rest**2).sum() / ((seeds - 1) * (images - 1)) / (seeds * images)
        return stats.sem(y.mean(1)) ** 2, noise, seeds - 1

    def interval(per_image, tables):
        between = np.array([parts(y) for y in tables])
        seeds = max(0.0, between[:, 0].sum() - between[:, 1].sum())
        freedom = between[:, 0].sum() ** 2 / (between[:, 0] ** 2 / between[:, 2]).sum()
        half = stats.t.interval(0.95, len(per_image) - 1, scale=stats.sem(per_image))[1] ** 2
        half += stats.t.interval(0.95, freedom, scale=np.sqrt(seeds))[1] ** 2 if seeds > 0 else 0
        return [per_image.mean(), per_image.mean() - np.sqrt(half), per_image.mean() + np.sqrt(half)]

    difficulty = random.normal(0, 0.1, 30)
    table = lambda seeds: 0.4 + random.normal(0, 0.05, (seeds, 1)) + difficulty + random.normal(0, 0.1, (seeds, 30))
    one, other = table(3), table(5)
    return {
        "one": one.tolist(), "other": other.tolist(), "mean": interval(one.mean(0), [one]),
        "difference": interval(one.mean(0) - other.mean(0), [one, other]),
    }


def importance(random):
    """Type II sums of squares by lstsq, omega squared, and Steiger's interval (2004) with brentq and the noncentral F."""
    indicators = lambda values: np.array([values == level for level in np.unique(values)[1:]], float)
    left = lambda columns, y: ((y - columns.T @ np.linalg.lstsq(columns.T, y, rcond=None)[0]) ** 2).sum()
    cases = []
    for runs in (12, 40, 150):
        a, b, c = (random.integers(0, levels, runs) for levels in (2, 3, 4))
        # A number with many values: a parabola over its ranks.
        number = random.random(runs).round(3)
        rank = np.unique(number, return_inverse=True)[1] / (len(np.unique(number)) - 1) * 2 - 1
        blocks = {"a": indicators(a), "b": indicators(b), "c": indicators(c), "number": np.array([rank, rank**2])}
        y = 0.8 * a - 0.5 * (b == 1) + 0.6 * number**2 + random.normal(0, 0.6, runs)
        constant = np.ones((1, runs))
        full = np.vstack([constant, *blocks.values()])
        rest = runs - np.linalg.matrix_rank(full)
        total, noise = left(constant, y), left(full, y) / rest
        shares = []
        for name, block in blocks.items():
            others = np.vstack([constant, *(other for key, other in blocks.items() if key != name)])
            squares, effects = left(others, y) - noise * rest, len(block)
            f, own = squares / effects / noise, squares - effects * noise
            beside = (total + noise - max(own, 0)) / noise
            limits = []
            for tail in (0.975, 0.025):
                beyond = lambda x: (stats.ncf.cdf(f, effects, rest, x) if x > 0 else stats.f.cdf(f, effects, rest)) - tail
                own_units = 0.0 if beyond(0) <= 0 else optimize.brentq(beyond, 0, 600, xtol=1e-12)
                limits.append(own_units / (own_units + beside))
            estimate = max(own / (total + noise), 0)
            shares.append({
                "squares": squares, "effects": effects, "p": stats.f.sf(f, effects, rest),
                "share": [estimate, min(limits[0], estimate), max(limits[1], estimate)],
            })
        cases.append({
            "categories": [values.tolist() for values in (a, b, c)], "number": number.tolist(),
            "scores": y.tolist(), "shares": shares,
        })
    return cases


def gap(random):
    epochs = np.array([1, 2, 3, 5, 6, 9])
    train = np.exp(-epochs / 4)
    validation = 1 + 0.1 * abs(epochs - 3) + random.normal(0, 0.01, 6)
    after = validation.argmin()
    area = integrate.trapezoid((validation - train)[after:], epochs[after:])
    return {"epochs": epochs.tolist(), "train": train.tolist(), "validation": validation.tolist(), "area": area}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FIXTURES)
    arguments = parser.parse_args()
    makers = [
        jensen_shannon, detectable, expected_best, randomisation, bootstrap, comparison, calibration, replication,
        importance, gap,
    ]
    # Each has a stream of its own, so that a change of one leaves the others as they are.
    drawn = {make.__name__: make(np.random.default_rng([arguments.seed, i])) for i, make in enumerate(makers)}
    cases = {"distributions": distributions(), "normal_equivalents": normal_equivalents(), **drawn}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "cases.json").write_text(json.dumps(cases, separators=(",", ":"), default=float) + "\n")


if __name__ == "__main__":
    main()
