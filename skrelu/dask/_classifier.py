"""The estimator that fits on a Dask cluster: it checks parameters and data, and releases what lies on the workers."""

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, Self

import numpy as np

from skrelu._caveats import warn_of_weights
from skrelu._classifier import DeepLogisticClassifier, standardizes
from skrelu._core.arrays import Array
from skrelu._core.network import Network
from skrelu._data.labels import Labels
from skrelu._data.parameters import make_random_state
from skrelu._data.splits import hold_out_problem
from skrelu._data.validation import validate_rows
from skrelu._fit.callbacks import drop_callbacks, with_callbacks
from skrelu._fit.problem import Problem
from skrelu._warnings import warn_caller
from skrelu.dask._cluster import Cluster, find_client, outside_the_pool
from skrelu.dask._collections import Names, Partitions, is_collection, split
from skrelu.dask._predictions import predict_lazily, score_lazily
from skrelu.dask._problem import ClusterProblem
from skrelu.dask._rows import ClusterRows
from skrelu.dask._table import CheckedTable, encoding_of

_VALIDATION_NAMES = ("X_val", "y_val", "sample_weight_val")


class DaskDeepLogisticClassifier(DeepLogisticClassifier):
    """DeepLogisticClassifier fitted on a Dask cluster, where each worker sums over the rows that lie on it.

    The objective is a sum over the rows, so the partitions of a dask array or data frame are parts of it. The L-BFGS
    loop runs on the client. For each evaluation it sends the weights of the network to every worker once, and gets one
    loss and one gradient back; rows stay where they are. Everything else is as in DeepLogisticClassifier: the evidence,
    standardised columns, early stopping, restarts, warm start, callbacks and the moderated probabilities.

    The sums do not depend on the order in which they are taken. So the same partitions give the same bits on any number
    of workers of one kind, also when a worker dies during the fit: its partitions are computed again elsewhere.

    Parameters
    ----------
    {parameters}
    client : dask.distributed.Client or None, default=None
        The client of the cluster; None means the current one. It is not saved with the estimator.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    skrelu.DeepLogisticClassifier : The estimator for rows that one machine holds.

    Notes
    -----
    `n_jobs` is the number of threads of each worker; None means as many as Dask gave it.

    The rows that early stopping holds out are drawn by partition, so they are not those of DeepLogisticClassifier. A
    local fit puts tables of up to 2048 rows in order first, and a fit on a cluster does not. For larger tables of which
    no row is held out, the evidence draws the same rows and terms in both.

    `docs/guide/dask.md` says how to set up a cluster, and how a fit scales.

    References
    ----------
    J. Demmel and H. D. Nguyen, 'Parallel reproducible summation', IEEE Transactions on Computers 64, 2015.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skrelu.dask import DaskDeepLogisticClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(200, -1)), da.from_array(y, chunks=200)
    >>> with Client(processes=False, dashboard_address=":0"):
    ...     model = DaskDeepLogisticClassifier(random_state=0).fit(X, y)
    >>> model.predict(X)
    dask.array<predict, shape=(569,), dtype=int64, chunksize=(200,), chunktype=numpy.ndarray>
    >>> model.score(X, y) > 0.95
    True
    >>> model.to_local().coefs_[0].shape
    (30, 100)
    """

    __module__ = "skrelu.dask"  # the path in saved models and in users' imports

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        *,
        alpha: float | Sequence[float] | Array | Literal["evidence"] = "evidence",
        alpha_grouping: Literal["shared", "layer", "feature"] = "feature",
        n_curvature_terms: int | Literal["auto"] = "auto",
        predictive: Literal["map", "laplace"] = "map",
        standardize: bool | Literal["auto"] = "auto",
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | Literal["balanced"] | None = None,
        max_iter: int = 1000,
        max_fun: int = 15000,
        tol: float = 1e-5,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 20,
        n_init: int = 1,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        client: Any = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            alpha=alpha,
            alpha_grouping=alpha_grouping,
            n_curvature_terms=n_curvature_terms,
            predictive=predictive,
            standardize=standardize,
            class_weight=class_weight,
            max_iter=max_iter,
            max_fun=max_fun,
            tol=tol,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            n_init=n_init,
            warm_start=warm_start,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.client = client

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network to all rows at once, on the workers.

        The partitions are computed, checked and encoded once, and stay on the workers until the fit ends. Call
        `persist` on collections before the fit if they are needed afterwards, too.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features) or dask data frame
            Training data. The partitions of an array may be dense or CSR matrices. float32 is computed in float32.
        y : dask array, series or data frame of shape (n_samples,) or (n_samples, n_labels)
            Labels, in the same partitions as X, or an array of NumPy if the sizes of the partitions are known.
        sample_weight : the same, of shape (n_samples,), or a number for all rows, default=None
            Weights, as in DeepLogisticClassifier.
        X_val, y_val, sample_weight_val : the same, default=None
            Validation data for early stopping, in place of rows held out from X and y, and their weights. They have
            partitions of their own.

        Returns
        -------
        self : DaskDeepLogisticClassifier

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not valid; the message has the number of the partition, if it is about one.
            After this or any other error the estimator is as it was before.
        RuntimeError
            If a partition could not be computed, the cluster was lost, or the tasks of the fit were cancelled.

        Warns
        -----
        ConvergenceWarning, UserWarning
            As in DeepLogisticClassifier.
        """
        data = split(X, y, sample_weight)
        with self._checked() as hidden_layer_sizes, outside_the_pool():
            cluster = Cluster(find_client(self.client))
            given = (X, y, sample_weight)
            self._fit_on(cluster, hidden_layer_sizes, data, given, (X_val, y_val, sample_weight_val))
        return self

    def _fit_on(
        self, cluster: Cluster, hidden_layer_sizes: tuple[int, ...], data: Partitions, given: Any, validation_data: Any
    ) -> None:
        before = self._fitted_before()
        data_val: Partitions | None = None
        if self._takes_validation(*validation_data):
            X_val, y_val, sample_weight_val = validation_data
            data_val = split(X_val, y_val, sample_weight_val, _VALIDATION_NAMES)
        _validate_columns(self, data, reset=not self._knows_columns(before))
        with _checked_table(cluster, data, self, ("X", "y", "sample_weight")) as table:
            labels = table.labels()
            network = Network((data.n_features, *hidden_layer_sizes, labels.n_outputs))
            previous = None if before is None else self._previous_parameters(network, labels, before)
            with self._problem(table, data_val, network, labels) as (problem, random_state):
                self._solve(problem, previous, random_state, given)

    @contextmanager
    def _problem(
        self, table: CheckedTable, data_val: Partitions | None, network: Network, labels: Labels
    ) -> Iterator[tuple[Problem, np.random.RandomState]]:
        """Encode the partitions and yield the problem; in the end the workers forget them."""
        random_state = make_random_state(self.random_state)
        encoding = encoding_of(table, labels, self.class_weight)
        holds_out = data_val is None and self._holds_out(network, table.n_counted, labels)
        quotas = None
        if holds_out:
            warning = hold_out_problem(table.n_counted, labels, self.validation_fraction)
            quotas, encoding = table.hold_out(encoding, self.validation_fraction, random_state)
            if warning is not None:
                warn_caller(warning, UserWarning)
        kept: list[ClusterRows] = []
        try:
            if data_val is not None:
                with _checked_table(table.cluster, data_val, self, _VALIDATION_NAMES) as table_val:
                    table_val.check_labels(labels)
                    kept.append(table_val.encode(table_val.encoding_like(encoding)))
            elif holds_out:
                kept.append(table.encode(encoding, quotas, is_validation=True))
            kept.insert(0, table.encode(encoding, quotas))
            table.release()
            training, validation = kept[0], kept[1] if len(kept) > 1 else None
            if isinstance(self.alpha, str):
                training = training.counted_as_rows(encoding, has_counts=table.has_counts)
                warn_of_weights(training.total_weight, training.n_rows, labels)
            problem = ClusterProblem(network, labels, None, training, validation, table.dtype, self.n_jobs)
            if standardizes(self, is_alpha_chosen=isinstance(self.alpha, str)):
                problem = problem.standardized()
            yield problem, random_state
        finally:
            for rows in kept:
                rows.parts.release()

    def to_local(self) -> DeepLogisticClassifier:
        """Return a copy for rows in memory, with the same parameters and fitted attributes, without callbacks.

        Returns
        -------
        model : DeepLogisticClassifier
        """
        model = self._as_local()
        model.__dict__ = copy.deepcopy(model.__dict__)
        return model

    def _as_local(self) -> DeepLogisticClassifier:
        """Return a model without a client that shares the parameters and fitted attributes."""
        model = DeepLogisticClassifier()
        state = {name: value for name, value in vars(self).items() if name != "client"}
        drop_callbacks(state, is_fitted=True)
        model.__dict__.update(state)
        return model

    def decision_function(self, X: Any, return_std: bool = False) -> Any:
        """Return the raw scores, before the sigmoid or the softmax; lazily for a dask collection.

        Parameters
        ----------
        X : dask array or data frame, or what DeepLogisticClassifier takes
        return_std : bool, default=False
            Whether to return the standard deviation of each score as well.

        Returns
        -------
        scores : dask array or ndarray of shape (n_samples,) or (n_samples, n_outputs)
            A dask array for a dask collection, with a chunk for each partition.
        std : the same
            Only with `return_std`.

        Raises
        ------
        NotFittedError
            If there is no fit.
        ValueError, TypeError
            If the columns of X are not those of the fit. Errors in the values of a dask collection come when the result
            is computed.
        """
        if is_collection(X):
            return predict_lazily(self._for_workers(), "decision_function", X, return_std=return_std)
        return super().decision_function(X, return_std)

    def predict(self, X: Any) -> Any:
        """Return the most probable label of each row; lazily for a dask collection.

        Parameters
        ----------
        X : dask array or data frame, or what DeepLogisticClassifier takes

        Returns
        -------
        y : dask array or ndarray of shape (n_samples,) or (n_samples, n_labels)
            A dask array for a dask collection, with a chunk for each partition.

        Raises
        ------
        NotFittedError
            If there is no fit.
        ValueError, TypeError
            If the columns of X are not those of the fit. Errors in the values of a dask collection come when the result
            is computed.
        """
        return predict_lazily(self._for_workers(), "predict", X) if is_collection(X) else super().predict(X)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class; lazily for a dask collection.

        Parameters
        ----------
        X : dask array or data frame, or what DeepLogisticClassifier takes

        Returns
        -------
        probabilities : dask array or ndarray of shape (n_samples, n_classes)
            A dask array for a dask collection, with a chunk for each partition.

        Raises
        ------
        NotFittedError
            If there is no fit.
        ValueError, TypeError
            If the columns of X are not those of the fit. Errors in the values of a dask collection come when the result
            is computed.
        """
        return predict_lazily(self._for_workers(), "predict_proba", X) if is_collection(X) else super().predict_proba(X)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each class; lazily for a dask collection.

        Parameters
        ----------
        X : dask array or data frame, or what DeepLogisticClassifier takes

        Returns
        -------
        log_probabilities : dask array or ndarray of shape (n_samples, n_classes)
            A dask array for a dask collection, with a chunk for each partition.

        Raises
        ------
        NotFittedError
            If there is no fit.
        ValueError, TypeError
            If the columns of X are not those of the fit. Errors in the values of a dask collection come when the result
            is computed.
        """
        if is_collection(X):
            return predict_lazily(self._for_workers(), "predict_log_proba", X)
        return super().predict_log_proba(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, computed where the rows lie for a dask collection.

        Parameters
        ----------
        X : dask array or data frame, or what DeepLogisticClassifier takes
        y : dask array, series or data frame, or array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels, in the same partitions as X, or an array of NumPy if the sizes of the partitions are known.
        sample_weight : the same, of shape (n_samples,), default=None

        Returns
        -------
        score : float

        Raises
        ------
        NotFittedError
            If there is no fit.
        ValueError, TypeError
            If the data do not fit the model or each other, or the weights add up to zero.
        """
        if is_collection(X):
            with nullcontext() if self.client is None else find_client(self.client).as_current():
                return score_lazily(self._for_workers(), X, y, sample_weight)
        return super().score(X, y, sample_weight)

    def _for_workers(self) -> DeepLogisticClassifier:
        """Return the fitted model, for the workers."""
        self._network()  # raises an error if there is none
        return self._as_local()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "client": None}

    def __sklearn_clone__(self) -> Self:
        without_client = object.__new__(type(self))
        without_client.__dict__.update(vars(self), client=None)
        cloned = super(DaskDeepLogisticClassifier, without_client).__sklearn_clone__()
        cloned.client = self.client
        return cloned


def _validate_columns(estimator: Any, data: Partitions, *, reset: bool) -> None:
    """Check the number and the names of the columns, and write them on the estimator if `reset`."""
    rows: Any = np.zeros((1, data.n_features))
    if data.columns is not None:
        import pandas as pd  # a dask data frame needs it

        rows = pd.DataFrame(rows, columns=data.columns)
    validate_rows(estimator, rows, reset=reset)


@contextmanager
def _checked_table(cluster: Cluster, data: Partitions, estimator: Any, names: Names) -> Iterator[CheckedTable]:
    """Yield the checked partitions; in the end the workers forget them."""
    model = DeepLogisticClassifier()
    _validate_columns(model, data, reset=True)
    if names == _VALIDATION_NAMES:
        _validate_columns(estimator, data, reset=False)
    table = CheckedTable.of(cluster, data, model, names)
    try:
        yield table
    finally:
        table.release()


def _section(documentation: str, name: str) -> str:
    """Return a section of a docstring that has no indentation."""
    return documentation.split(f"{name}\n{'-' * len(name)}\n")[1].split("\n\n")[0].strip()


# Python 3.13 removes the indentation of docstrings, earlier ones keep it: `getdoc` removes it everywhere.
_documentation = inspect.getdoc(DaskDeepLogisticClassifier) or ""
_inherited = inspect.getdoc(DeepLogisticClassifier) or ""
if _documentation and _inherited:  # not under python -OO
    DaskDeepLogisticClassifier.__doc__ = _documentation.replace(
        "{parameters}", _section(_inherited, "Parameters")
    ).replace("{attributes}", _section(_inherited, "Attributes"))
