"""A fit on a Dask cluster, for rows that one machine does not hold. It needs the extra `dask`."""

try:
    import dask.array  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(f'skrelu.dask needs Dask, which `pip install "skrelu[dask]"` installs: {error}') from error

from skrelu.dask._classifier import DaskDeepLogisticClassifier

__all__ = ["DaskDeepLogisticClassifier"]
