"""Tables of results: a data frame, or a structured array where pandas is missing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from skrelu._core.arrays import Array


def make_table(columns: Mapping[str, Array]) -> Any:
    """Return columns of equal length as a pandas DataFrame, or as a structured array with the same names."""
    try:
        import pandas as pd
    except ImportError:
        table = np.empty(
            len(next(iter(columns.values()))), dtype=[(name, part.dtype) for name, part in columns.items()]
        )
        for name, part in columns.items():
            table[name] = part
        return table
    return pd.DataFrame(dict(columns))
