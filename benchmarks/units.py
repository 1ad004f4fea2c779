"""Columns in their own units: is a fit to raw columns as good as one behind a StandardScaler?

`defaults.py --raw` asks it of each table as it is, and disturbed in ways that tell nothing of the class. The
StandardScaler gets the same disturbed columns.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from evaluation import Evaluation, Figures, Make, Split, evaluate, standardise
from figures import Results, geometric_mean, pair_up
from sklearn.preprocessing import scale

Disturb = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # of all rows

TINY_LOSS = 1e-3  # nats; ratios of log-losses below it are flagged, as they say little


def add_unix_time(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add times in seconds since 1970, some days around one of the year 2020."""
    return np.column_stack([X, 1.6e9 + 1e5 * rng.standard_normal(len(X))])


def change_units(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bring one column to 1e9 +- 1e8 and another one to 1e-6 +- 1e-7."""
    X = X.copy()
    varying = np.flatnonzero(np.ptp(X, axis=0))
    for column, size in zip(rng.choice(varying, 2, replace=False), (1e9, 1e-6), strict=True):
        X[:, column] = size * (1 + 0.1 * scale(X[:, column]))
    return X


def add_row_id(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add the numbers from 0 to n - 1 in random order."""
    return np.column_stack([X, rng.permutation(len(X))])


OURS = "DeepLogisticClassifier"  # fitted to the raw columns
DISTURBANCES: dict[str, Disturb] = {"unix time": add_unix_time, "1e9 and 1e-6": change_units, "row id": add_row_id}
# Each fit to raw columns, with the one to the same columns standardised.
PAIRS = {"as they are": (OURS, "  standardised")} | {
    name: (f"  {name}", f"  {name}, standardised") for name in DISTURBANCES
}


# Columns that differ by rounding alone: a StandardScaler undoes the change of units.
SAME = (PAIRS["1e9 and 1e-6"][1], PAIRS["as they are"][1])


def disturb_rows(disturb: Disturb, split: Split, seed: int) -> Split:
    """Disturb the columns of both parts of a split."""
    X, X_test, y, y_test = split
    rows = disturb(np.concatenate([X, X_test]), np.random.default_rng(seed))
    return [rows[: len(X)], rows[len(X) :], y, y_test]


def evaluate_columns(make: Make, disturb: Disturb | None, in_units: bool, split: Split, seed: int) -> Figures:
    """Fit a classifier to columns that are disturbed first, if so asked, and then standardised or left in units."""
    if disturb is not None:
        split = disturb_rows(disturb, split, seed)
    return evaluate(make, split if in_units else standardise(split), seed)


def make_evaluations(make: Make) -> dict[str, Evaluation]:
    """Return the evaluations of `PAIRS` for a classifier; each expects a split of raw rows."""
    return {
        fit: partial(evaluate_columns, make, DISTURBANCES.get(name), in_units)
        for name, pair in PAIRS.items()
        for fit, in_units in zip(pair, (True, False), strict=True)
    }


def print_units(results: Results) -> None:
    """Print the log-loss of raw columns over that of standardised ones, for each table and over all.

    The last column is the effect of rounding: columns with changed units over those as they are, both standardised.
    """
    pairs_of_fits = PAIRS | {"rounding": SAME}
    losses = {name: pair_up(results, "log_loss", *pair) for name, pair in pairs_of_fits.items()}
    print(f"\nlog-loss of raw columns over that of standardised ones (*: both are below {TINY_LOSS} nats)")
    print("rounding: columns with units of 1e9 and 1e-6 over those as they are, both standardised")
    print(f"{'':16}{'standardised':>14}{'raw':>12}" + "".join(f"{name:>14} " for name in losses))
    for table in results:
        raw, its = losses["as they are"][table]
        pairs = [of_one[table] for of_one in losses.values()]
        cells = "".join(f"{mine / theirs:14.3f}{'*' if is_tiny((mine, theirs)) else ' '}" for mine, theirs in pairs)
        print(f"{table:16}{its:14.6f}{raw:12.6f}{cells}")
    _print_extremes("all", losses)
    if any(is_tiny(pair) for of_one in losses.values() for pair in of_one.values()):
        large = {name: {t: pair for t, pair in of_one.items() if not is_tiny(pair)} for name, of_one in losses.items()}
        _print_extremes("without *", large)


def is_tiny(losses: tuple[float, float]) -> bool:
    return max(losses) < TINY_LOSS


def _print_extremes(label: str, losses: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Print the geometric mean of the ratios in each column, and the worst with its table."""
    ratios = [{table: mine / its for table, (mine, its) in of_one.items()} for of_one in losses.values()]
    worst = [max(of_one, key=of_one.__getitem__, default="") for of_one in ratios]
    means = [geometric_mean(np.array(list(of_one.values()))) for of_one in ratios]
    print(f"{f'{label}, geometric mean':42}" + "".join(f"{mean:14.3f} " for mean in means))
    print(
        f"{f'{label}, worst':42}"
        + "".join(f"{of_one.get(table, np.nan):14.3f} " for of_one, table in zip(ratios, worst, strict=True))
    )
    print(" " * 42 + "".join(f"{table:>14} " for table in worst))
