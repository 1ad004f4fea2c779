"""A fit on a Dask cluster, for rows that one machine does not hold. It needs the extra `dask`."""

from skrelu.dask._classifier import DaskDeepLogisticClassifier

__all__ = ["DaskDeepLogisticClassifier"]
