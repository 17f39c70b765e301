"""Makes tests/fixtures/parzen.json: what Optuna's Parzen estimator says of values, for src/plan/bayes/parzen.rs.

    python tests/reference/parzen.py

Pinned: optuna 5.0.0, numpy 2.4.6. Python 3.11. All values are drawn from a seed, so the file is the same every time.
Each case has a domain, the values that the estimate is made from (the oldest first), the mixture's weights and kernels,
and the logarithm of the density at some values.
"""

import functools
import json
import math
from pathlib import Path

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "parzen.json"
PARAMETERS = _ParzenEstimatorParameters(
    prior_weight=1.0,
    consider_magic_clip=True,
    consider_endpoints=False,
    weights=default_weights,
    multivariate=False,
)


def numbers(low, high, step=None, log=False):
    """The domain as Optuna has it, and as the fixture says it. Whole steps on a logarithmic scale are Optuna's integers."""
    if step and log:
        assert step == 1
        distribution = IntDistribution(int(low), int(high), log=True)
    else:
        distribution = FloatDistribution(low, high, step=step, log=log)
    return distribution, {"low": low, "high": high, "step": step, "is_log": log}


def drawn(rng, domain, count):
    """Values of the domain, some of them more than once."""
    low, high = domain["low"], domain["high"]
    share = rng.beta(2, 5, size=count)
    if domain["is_log"]:
        values = np.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        values = low + share * (high - low)
    if domain["step"]:
        values = low + np.round((values - low) / domain["step"]) * domain["step"]
    return np.clip(values, low, high)


def case(distribution, domain, values, at):
    estimator = _ParzenEstimator({"x": values}, {"x": distribution}, PARAMETERS)
    mixture = estimator._mixture_distribution
    kernels = mixture.distributions[0]
    found = estimator.log_pdf({"x": at})
    shown = {"domain": domain, "values": values.tolist(), "weights": mixture.weights.tolist(), "at": at.tolist()}
    if isinstance(distribution, CategoricalDistribution):
        return shown | {"rows": kernels.weights.tolist(), "log_density": found.tolist()}
    return shown | {"middles": kernels.mu.tolist(), "widths": kernels.sigma.tolist(), "log_density": found.tolist()}


def main():
    # Of equal values, which are common on a step, Optuna leaves the order to the sort: here it is theirs.
    np.argsort = functools.partial(np.argsort, kind="stable")
    rng = np.random.default_rng(0)
    cases = []
    domains = [
        numbers(-2.0, 5.0),
        numbers(1e-5, 1e-2, log=True),
        numbers(0.0, 12.0, step=1.0),
        numbers(0.0, 1.0, step=0.05),
        numbers(1.0, 300.0, step=1.0, log=True),
        numbers(0.5, 0.6),
    ]
    for distribution, domain in domains:
        for count in [0, 1, 2, 5, 24, 25, 26, 27, 60]:
            cases.append(case(distribution, domain, drawn(rng, domain, count), drawn(rng, domain, 7)))
    for choices in [2, 5]:
        distribution = CategoricalDistribution(list(range(choices)))
        for count in [0, 1, 4, 30]:
            values = rng.integers(0, choices, size=count).astype(float)
            cases.append(case(distribution, choices, values, np.arange(choices, dtype=float)))
    FIXTURE.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
