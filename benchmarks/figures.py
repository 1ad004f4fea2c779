"""The tables of figures that the benchmarks of quality print."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from evaluation import Figures

Results = dict[str, dict[str, dict[int, Figures]]]  # by data set, classifier and seed

DIGITS = {"log_loss": 4, "brier": 3, "calibration": 3, "accuracy": 3}
HEADINGS = {"log_loss": "log-loss", "brier": "Brier score", "calibration": "calibration error", "accuracy": "accuracy"}
MAX_RATIO = 1.05  # of the log-losses of two revisions; data sets above it are listed
SMALL_LOSS = 0.02  # nats; data sets where both log-losses are below it are not listed


def average(runs: Iterable[Figures], figure: str) -> float:
    """Return the mean of a figure over the splits, but the median of the seconds; nan without a split."""
    values = [run[figure] for run in runs]
    if not values:
        return np.nan
    return float(np.median(values) if figure == "seconds" else np.mean(values))


def print_summary(results: Results) -> None:
    """Print a line for each classifier: figures over all data sets, with equal weights."""
    print(
        f"\n{len(results)} data sets\n"
        f"{'':36}{'fits':>6}{'log-loss':>10}{'log-loss':>10}{'accuracy':>10}{'Brier':>8}{'calibration':>12}"
        f"{'fit time':>10}{'fit time':>10}{'fits that':>11}\n"
        f"{'':36}{'':6}{'geo. mean':>10}{'mean':>10}{'mean':>10}{'score':>8}{'error':>12}"
        f"{'geo. mean':>10}{'total':>10}{'warned':>11}"
    )
    for name in next(iter(results.values())):
        fitted = [runs[name].values() for runs in results.values() if runs[name]]
        if not fitted:
            continue
        mean = {
            figure: np.array([average(runs, figure) for runs in fitted])
            for figure in ("log_loss", "accuracy", "brier", "calibration", "warned", "seconds")
        }
        print(
            f"{name:36}{sum(map(len, fitted)):6d}"
            f"{geometric_mean(mean['log_loss']):10.4f}{mean['log_loss'].mean():10.4f}{mean['accuracy'].mean():10.4f}"
            f"{mean['brier'].mean():8.4f}{mean['calibration'].mean():12.4f}"
            f"{geometric_mean(mean['seconds']):9.3f}s{mean['seconds'].sum():9.1f}s{mean['warned'].mean():11.1%}"
        )


def markdown_table(results: Results, names: Iterable[str], figures: Sequence[str]) -> str:
    """Return figures of classifiers on each data set, as Markdown; a classifier without results is left out."""
    names = [name for name in names if name in next(iter(results.values()))]
    lines = [
        f"| {' / '.join(HEADINGS[figure] for figure in figures)} | " + " | ".join(map(str.strip, names)) + " |",
        "| --- |" + " --- |" * len(names),
    ]
    for data_set, runs in results.items():
        cells = [
            " / ".join(f"{average(runs[name].values(), figure):.{DIGITS[figure]}f}" for figure in figures)
            for name in names
        ]
        lines.append(f"| {data_set} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def pair_up(results: Results, figure: str, name: str, *rivals: str) -> dict[str, tuple[float, float]]:
    """Return a figure of a classifier and the least of its rivals, by data set.

    Both are averages over the splits that all have. Data sets without such a split are left out.
    """
    pairs = {}
    for data_set, runs in results.items():
        everyone = [runs[each] for each in (name, *rivals)]
        shared = set.intersection(*map(set, everyone))
        if shared:
            mine, *theirs = (average([of_one[seed] for seed in shared], figure) for of_one in everyone)
            pairs[data_set] = mine, min(theirs)
    return pairs


def print_ratios(title: str, results: Results, comparisons: Mapping[str, tuple[str, ...]]) -> None:
    """Print the log-loss of a classifier over the least of its rivals: over all data sets, and for the worst.

    The fit time is the total over the data sets, over that of the rival if there is only one.
    """
    print(f"\n{title}\n{'':40}{'data sets':>10}{'geo. mean':>10}{'fit time':>10}{'worst':>10} data set (figures)")
    for label, (name, *rivals) in comparisons.items():
        losses = pair_up(results, "log_loss", name, *rivals)
        if not losses:
            print(f"{label:40}{0:10d}")
            continue
        ratios = {data_set: mine / its for data_set, (mine, its) in losses.items()}
        seconds = np.array(list(pair_up(results, "seconds", name, *rivals).values())).sum(axis=0)
        fit_time = f"{seconds[0] / seconds[1]:10.2f}" if len(rivals) == 1 else f"{'':10}"
        worst = max(ratios, key=lambda data_set: ratios[data_set])
        mine, its = losses[worst]
        print(
            f"{label:40}{len(losses):10d}{geometric_mean(np.array(list(ratios.values()))):10.3f}{fit_time}"
            f"{ratios[worst]:10.2f} {worst} ({mine:.4f}, {its:.4f})"
        )


def print_worse(results: Results, comparisons: Mapping[str, tuple[str, str]]) -> None:
    """Print the data sets where the log-loss of a classifier is clearly higher than that of its rival."""
    for label, (name, rival) in comparisons.items():
        losses = pair_up(results, "log_loss", name, rival)
        worse = [
            f"{data_set} ({mine:.4f}, {its:.4f}: {mine / its:.3f})"
            for data_set, (mine, its) in losses.items()
            if mine > MAX_RATIO * its and max(mine, its) >= SMALL_LOSS
        ]
        print(f"{label}: more than {MAX_RATIO} times as high on {', '.join(worse) or 'no data set'}")


def geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.log(values).mean()))
