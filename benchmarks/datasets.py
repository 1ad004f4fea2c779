"""Real data sets for the benchmarks: those of scikit-learn, and those of a folder if one is given.

The folder may hold `adult.csv.gz`, `higgs7500.csv.gz` and `skin.csv.gz` (UCI), and `tables/*.csv.gz` with the class in
the column `target`. Nominal columns are made one-hot. The data are not standardised.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import datasets as built_in

Table = tuple[str, NDArray[np.float64], NDArray[np.intp]]

_TARGET_COLUMNS = {"adult": "income", "higgs7500": "signal", "skin": "skin"}


def load_built_in() -> Iterator[Table]:
    """Yield (name, X, y) of scikit-learn's small classification data sets."""
    for name in ("iris", "wine", "breast_cancer", "digits"):
        X, y = getattr(built_in, f"load_{name}")(return_X_y=True)
        yield name, X, y


def load_folder(folder: Path) -> Iterator[Table]:
    """Yield (name, X, y) of every known table in the folder, except wdbc and wine, which scikit-learn has."""
    for path in sorted((folder / "tables").glob("*.csv.gz")):
        name = path.name.removesuffix(".csv.gz")
        if name not in ("wdbc", "wine"):
            yield _read(name, path, "target")
    for name, target in _TARGET_COLUMNS.items():
        path = folder / f"{name}.csv.gz"
        if path.exists():
            yield _read(name, path, target)


def load_all(folder: Path | None) -> Iterator[Table]:
    """Yield the data sets of scikit-learn and, if a folder is given, its tables."""
    yield from load_built_in()
    if folder is not None:
        yield from load_folder(folder)


def load_adult(folder: Path) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """Return the columns of the adult census, nominal ones as text, and the classes."""
    return _read_frame(folder / "adult.csv.gz", _TARGET_COLUMNS["adult"])


def _read(name: str, path: Path, target: str) -> Table:
    frame, y = _read_frame(path, target)
    return name, pd.get_dummies(frame).to_numpy(np.float64), y


def _read_frame(path: Path, target: str) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    frame = pd.read_csv(path, skipinitialspace=True)
    y = pd.factorize(frame.pop(target), sort=True)[0]
    return frame, y
