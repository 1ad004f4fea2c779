"""Converted models: onnxruntime must return what the estimator does."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_multilabel_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale

import skrelu.onnx
from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV

pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from skl2onnx import to_onnx  # noqa: E402

skrelu.onnx.register()

HIDDEN = [(), (7,), (6, 4)]
DTYPES = [np.float32, np.float64]
ATOL = {"float32": 1e-5, "float64": 1e-12}
N_CLASSES = {"binary": 2, "multiclass": 3, "digits": 10}


def load(kind, n_samples=300):
    """Return a standardised data set, its rows shuffled."""
    if kind == "multilabel":
        X, y = make_multilabel_classification(n_samples=200, n_features=8, n_classes=4, random_state=0)
    else:
        X, y = {"binary": load_breast_cancer, "multiclass": load_wine, "digits": load_digits}[kind](return_X_y=True)
    order = np.random.RandomState(0).permutation(len(y))[:n_samples]
    return scale(X)[order], y[order]


def small(hidden=(7,), **parameters):
    """Return an estimator of few units, whose fit converges."""
    options = {"alpha": 1.0, "early_stopping": False, "max_iter": 2000, "random_state": 0}
    return DeepLogisticClassifier(hidden, **options | parameters)


@cache
def fitted(kind, hidden=(7,), dtype=np.float64):
    """Return a small estimator, fitted to rows of a type."""
    X, y = load(kind)
    return small(hidden).fit(X.astype(dtype), y)


def name(y, kind):
    """Return class numbers as labels of another kind, in the same order."""
    if kind == "str":
        return np.array([f"class-{label}" for label in range(10)])[y]
    if kind == "bool":
        return y == 1
    return (y * 7 - 3).astype(kind)


def session(model, X, options=None, **conversion):
    """Return an onnxruntime session of the model, converted for input like X."""
    options = None if options is None else {id(model): options}
    return open_session(to_onnx(model, X[:1], options=options, **conversion))


def open_session(graph):
    return onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


def run(model, X, options=None, **conversion):
    """Return what onnxruntime makes of X."""
    return session(model, X, options, **conversion).run(None, {"X": X})


def assert_agrees(model, X, **conversion):
    """Check labels and probabilities, the latter in an array."""
    labels, probabilities = run(model, X, {"zipmap": False}, **conversion)
    assert_array_equal(labels, model.predict(X))
    assert probabilities.dtype == (np.float64 if X.dtype == np.float64 else np.float32)
    assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=ATOL[probabilities.dtype.name])


class TestTheNetwork:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("fitted_in", DTYPES)
    @pytest.mark.parametrize("hidden", HIDDEN)
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "digits", "multilabel"])
    def test_labels_and_probabilities(self, kind, hidden, fitted_in, dtype):
        X, _ = load(kind)
        assert_agrees(fitted(kind, hidden, fitted_in), X.astype(dtype))

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("hidden", HIDDEN)
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_raw_scores(self, kind, hidden, dtype):
        X, _ = load(kind)
        X = X.astype(dtype)
        model = fitted(kind, hidden, dtype)
        labels, scores = run(model, X, {"zipmap": False, "raw_scores": True})
        expected = model.decision_function(X)
        if kind == "binary":
            expected = np.column_stack((-expected, expected))
        assert_array_equal(labels, model.predict(X))
        rtol = {np.float32: 1e-5, np.float64: 1e-13}[dtype]
        assert_allclose(scores, expected, rtol=0, atol=rtol * np.abs(expected).max())

    def test_raw_scores_have_the_columns_of_logistic_regression(self):
        X, y = load("binary")
        ours, theirs = small(()).fit(X, y), LogisticRegression(C=1.0, tol=1e-9, max_iter=10_000).fit(X, y)
        options = {"zipmap": False, "raw_scores": True}
        assert_allclose(run(ours, X, options)[1], run(theirs, X, options)[1], atol=1e-2)

    @pytest.mark.parametrize("opset", [11, 15, 18])
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_older_opsets(self, kind, dtype, opset):
        X, _ = load(kind)
        graph = to_onnx(fitted(kind), X[:1].astype(dtype), target_opset=opset)
        assert next(entry.version for entry in graph.opset_import if entry.domain == "") == opset
        assert_agrees(fitted(kind), X.astype(dtype), target_opset=opset)

    @pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
    def test_other_numbers_are_computed_in_float64(self, dtype):
        X, y = load("multiclass")
        X = np.maximum(100 * X, 0).astype(np.uint8)
        model = small().fit(X / 100, y)
        assert_agrees(model, X.astype(dtype))
        scores = run(model, X.astype(dtype), {"zipmap": False, "raw_scores": True})[1]
        assert_array_equal(scores, model.decision_function(X.astype(dtype)).astype(np.float32))

    @pytest.mark.parametrize("n_rows", [0, 1, 2, 1000])
    @pytest.mark.parametrize("zipmap", [True, False, "columns"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_batches_of_any_size(self, kind, zipmap, n_rows):
        X, _ = load(kind)
        rows = np.resize(X, (n_rows, X.shape[1]))
        outputs = run(fitted(kind), X, {"zipmap": zipmap})
        again = session(fitted(kind), X, {"zipmap": zipmap}).run(None, {"X": rows})
        assert [len(output) for output in again] == [n_rows] * len(outputs)

    def test_the_cross_validated_estimator(self):
        X, y = load("multiclass")
        model = DeepLogisticClassifierCV((4,), alphas=[1.0, 10.0], cv=2, max_iter=2000, random_state=0).fit(X, y)
        assert_agrees(model, X)


class TestColumnsInTheirOwnUnits:
    """A float32 graph is as good as the float32 of its input, though the scale of a column is in the first weights."""

    @pytest.mark.parametrize("hidden", [(), (7,)])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_unix_time(self, hidden, dtype):
        rng = np.random.default_rng(0)
        X = np.column_stack([1.6e9 + 1e5 * rng.standard_normal(300), rng.standard_normal(300)])
        X = X.astype(np.float32).astype(np.float64)  # so that both see the same times
        y = ((X[:, 0] - 1.6e9) / 1e5 + X[:, 1] + rng.logistic(size=300) > 0).astype(int)
        model = DeepLogisticClassifier(hidden, random_state=0).fit(X, y)
        assert model.feature_mean_[0] > 1e9
        _, probabilities = run(model, X.astype(dtype), {"zipmap": False})
        assert_allclose(probabilities, model.predict_proba(X), atol=1e-5 if dtype == np.float32 else 1e-10)


class TestLabels:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("labels", ["str", "object", "bool", "int64", "int8", "uint16", "float64"])
    def test_of_two_classes(self, labels, dtype):
        X, y = load("binary")
        y = name(y, "str").astype(object) if labels == "object" else name(y + (labels == "uint16"), labels)
        model = small().fit(X, y)
        found = run(model, X.astype(dtype), {"zipmap": False})[0]
        assert_array_equal(found, model.predict(X))
        assert found.dtype == (object if labels in ("str", "object") else np.int64)

    @pytest.mark.parametrize("labels", ["str", "int64"])
    @pytest.mark.parametrize("kind", ["multiclass", "digits"])
    def test_of_more_classes(self, kind, labels):
        X, y = load(kind)
        assert_agrees(small().fit(X, name(y, labels)), X)

    def test_large_integers(self):
        X, y = load("binary")
        assert set(run(small().fit(X, np.array([-(2**40), 2**60])[y]), X)[0]) == {-(2**40), 2**60}

    def test_what_is_no_64_bit_integer_is_refused(self):
        X, y = load("binary")
        model = small().fit(X, np.array([1, 2**63], dtype=np.uint64)[y])
        with pytest.raises(ValueError, match="strings or 64-bit integers"):
            to_onnx(model, X[:1], options={id(model): {"zipmap": False}})

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("hidden", [(), (7,)])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_equal_scores(self, kind, hidden, dtype):
        X, y = load(kind)
        model = small(hidden).fit(X, y)
        model.coefs_ = [0 * coef for coef in model.coefs_]
        model.intercepts_ = [0 * intercept for intercept in model.intercepts_]
        assert_agrees(model, X.astype(dtype))
        assert not run(model, X.astype(dtype))[0].any()

    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_the_scores_decide_where_probabilities_are_equal(self, kind):
        X, y = load(kind)
        model = small(()).fit(X, y)
        model.coefs_ = [0 * coef for coef in model.coefs_]
        for tiny in (1e-20, -1e-20):
            model.intercepts_ = [np.zeros_like(model.intercepts_[0])]
            model.intercepts_[0][-1] = tiny
            for dtype in DTYPES:
                probabilities = run(model, X.astype(dtype), {"zipmap": False})[1]
                assert (probabilities == probabilities[0, 0]).all()
                assert_agrees(model, X.astype(dtype))

    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    @pytest.mark.parametrize("factor", [1e4, 1e30])
    def test_large_scores(self, kind, factor):
        X, y = load(kind)
        model = small(()).fit(X, y)
        assert_agrees(model, factor * X)
        labels, probabilities = run(model, (factor * X).astype(np.float32), {"zipmap": False})
        assert_array_equal(labels, model.predict(factor * X))
        assert np.isfinite(probabilities).all()


class TestOptions:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("nocl", [False, True])
    @pytest.mark.parametrize("labels", ["str", "int64"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_zipmap(self, kind, labels, nocl, dtype):
        X, y = load(kind)
        X = X.astype(dtype)
        model = small().fit(X, y if kind == "multilabel" else name(y, labels))
        is_by_place = nocl or kind == "multilabel"
        classes = list(range(len(model.classes_))) if is_by_place else model.classes_.tolist()
        expected = model.predict(X)
        if nocl and kind != "multilabel":
            expected = np.searchsorted(model.classes_, expected)

        found, by_row = run(model, X, {"zipmap": True, "nocl": nocl})
        assert_array_equal(found, expected)
        assert [list(row) for row in by_row] == [classes] * len(X)
        # ONNX knows maps to float32 only.
        assert_allclose([list(row.values()) for row in by_row], model.predict_proba(X), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("labels", ["str", "int64"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_columns(self, kind, labels, dtype):
        X, y = load(kind)
        X = X.astype(dtype)
        model = small().fit(X, y if kind == "multilabel" else name(y, labels))
        converted = session(model, X, {"zipmap": "columns"})
        prefix = "s" if model.classes_.dtype.kind == "U" else "i"
        names = [f"{prefix}{label}" for label in model.classes_]
        assert [output.name for output in converted.get_outputs()] == ["output_label", *names]
        found, *columns = converted.run(None, {"X": X})
        assert_array_equal(found, model.predict(X))
        assert {column.dtype for column in columns} == {np.dtype(dtype)}
        atol = ATOL[np.dtype(dtype).name]
        assert_allclose(np.column_stack(columns), model.predict_proba(X), rtol=0, atol=atol)

    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_the_declared_shapes(self, kind):
        X, y = load(kind)
        model = small().fit(X, y)
        label, probabilities = session(model, X, {"zipmap": False}).get_outputs()
        n_classes = len(model.classes_)
        assert label.shape == ([None, n_classes] if kind == "multilabel" else [None])
        assert probabilities.shape == [None, n_classes]
        assert (label.type, probabilities.type) == ("tensor(int64)", "tensor(double)")

    @pytest.mark.parametrize("labels", ["str", "int64"])
    def test_output_class_labels(self, labels):
        X, y = load("multiclass")
        model = small().fit(X, name(y, labels))
        *_, classes = run(model, X, {"zipmap": False, "output_class_labels": True})
        assert_array_equal(classes, model.classes_)

    def test_unknown_options_are_refused(self):
        X, y = load("binary")
        model = small().fit(X, y)
        with pytest.raises(ValueError, match="option 'zipmap'"):
            run(model, X, {"zipmap": "rows"})
        with pytest.raises(NameError, match="Option 'scores'"):
            run(model, X, {"scores": True})


class TestPipelines:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("hidden", HIDDEN)
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_after_a_scaler(self, kind, hidden, dtype):
        X, y = load(kind)
        X = (3 * X + 5).astype(dtype)
        assert_agrees(make_pipeline(StandardScaler(), small(hidden)).fit(X, y), X)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_options(self, kind, dtype):
        X, y = load(kind)
        X = X.astype(dtype)
        model = make_pipeline(StandardScaler(), small()).fit(X, name(y, "str"))
        graph = to_onnx(model, X[:1], options={id(model[-1]): {"zipmap": False, "raw_scores": True}})
        scores = open_session(graph).run(None, {"X": X})[1]
        expected = model.decision_function(X)
        assert_allclose(scores[:, 1] if kind == "binary" else scores, expected, rtol=0, atol=1e-4)
        assert_array_equal(run(model, X, {"nocl": True})[0], np.searchsorted(model.classes_, model.predict(X)))
        assert [list(row) for row in run(model, X)[1][:3]] == [model.classes_.tolist()] * 3
        assert len(run(model, X, {"zipmap": "columns"})) == 1 + N_CLASSES[kind]

    def test_a_data_frame_becomes_one_input_a_column(self):
        pd = pytest.importorskip("pandas")
        X, y = load("binary")
        frame = pd.DataFrame(X[:, :4], columns=list("abcd"))
        model = make_pipeline(StandardScaler(), small()).fit(frame, y)
        labels, probabilities = session(model, frame, {"zipmap": False}).run(
            None, {column: frame[[column]].to_numpy() for column in frame}
        )
        assert_array_equal(labels, model.predict(frame))
        assert_allclose(probabilities, model.predict_proba(frame), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_mixed_columns(self, dtype):
        pd = pytest.importorskip("pandas")
        rng = np.random.RandomState(0)
        frame = pd.DataFrame(
            {
                "age": rng.uniform(20, 70, 300).astype(dtype),
                "hours": rng.uniform(0, 60, 300).astype(dtype),
                "city": rng.choice(["Bern", "Rome", "Wien"], 300),
                "owner": rng.choice(["no", "yes"], 300),
            }
        )
        signal = (frame["age"] - 45) / 15 + (frame["city"] == "Rome") - (frame["owner"] == "no") + rng.randn(300)
        y = np.array(["low", "middle", "high"])[np.digitize(signal, [-1, 1])]
        columns = ColumnTransformer(
            [("one", OneHotEncoder(), ["city", "owner"]), ("scale", StandardScaler(), ["age", "hours"])]
        )
        model = make_pipeline(columns, small()).fit(frame, y)
        converted = session(model, frame, {"zipmap": False})
        types = {column.name: column.type for column in converted.get_inputs()}
        number = "tensor(float)" if dtype == np.float32 else "tensor(double)"
        assert types == {"age": number, "hours": number, "city": "tensor(string)", "owner": "tensor(string)"}
        feed = {c: frame[[c]].to_numpy(object if c in ("city", "owner") else dtype) for c in frame}
        labels, probabilities = converted.run(None, feed)
        assert_array_equal(labels, model.predict(frame))
        assert_allclose(probabilities, model.predict_proba(frame), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("labels", ["str", "int64"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    @pytest.mark.parametrize(
        "meta",
        [
            CalibratedClassifierCV(small(), cv=2),
            VotingClassifier([("a", small()), ("b", small(()))], voting="soft", flatten_transform=False),
            BaggingClassifier(small(), n_estimators=2, random_state=0),
            StackingClassifier([("a", small()), ("b", small(()))], LogisticRegression(), cv=2),
            OneVsRestClassifier(small()),
            GridSearchCV(small(), {"alpha": [1.0, 3.0]}, cv=2),
            GridSearchCV(make_pipeline(StandardScaler(), small()), {"deeplogisticclassifier__alpha": [1.0, 3.0]}, cv=2),
            make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), small())),
            make_pipeline(StandardScaler(), CalibratedClassifierCV(small(), cv=2)),
        ],
        ids=[
            "calibrated",
            "voting",
            "bagging",
            "stacking",
            "one-vs-rest",
            "search",
            "search-pipe",
            "nested",
            "pipe-cal",
        ],
    )
    def test_meta_estimators(self, meta, kind, labels, dtype):
        X, y = load(kind, 150)
        X = X.astype(dtype)
        assert_agrees(meta.fit(X, name(y, labels)), X)


class TestRefusals:
    def test_moderated_probabilities(self):
        X, y = load("binary")
        model = small(predictive="laplace").fit(X, y)
        for estimator in (model, make_pipeline(StandardScaler().fit(X), model)):
            with pytest.raises(NotImplementedError, match=r"set_params\(predictive='map'\)"):
                to_onnx(estimator, X[:1])
        assert_agrees(model.set_params(predictive="map"), X)

    def test_what_has_no_network(self):
        X, y = load("binary")
        search = DeepLogisticClassifierCV((3,), alphas=[1.0, 3.0], cv=2, refit=False, random_state=0).fit(X, y)
        with pytest.raises(NotFittedError, match="refit=True"):
            to_onnx(search, X[:1])
        with pytest.raises(NotFittedError, match="call fit first"):
            to_onnx(small(), X[:1], options={DeepLogisticClassifier: {"zipmap": False}})

    def test_input_that_holds_no_numbers(self):
        from skl2onnx.common.data_types import StringTensorType

        X, y = load("binary")
        with pytest.raises(RuntimeError, match="wrong type"):
            to_onnx(small().fit(X, y), initial_types=[("X", StringTensorType([None, X.shape[1]]))])


class TestRegister:
    def test_again(self):
        X, y = load("binary")
        model = small().fit(X, y)
        before = to_onnx(model, X[:1], name="graph").SerializeToString()
        skrelu.onnx.register()
        assert to_onnx(model, X[:1], name="graph").SerializeToString() == before

    def test_without_skl2onnx(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        with pytest.raises(ImportError, match=r'pip install "skrelu\[onnx\]"'):
            skrelu.onnx.register()

    def test_the_package_is_imported_without_it(self):
        code = "import sys, skrelu, skrelu.onnx; sys.exit('skl2onnx' in sys.modules or 'onnx' in sys.modules)"
        root = Path(skrelu.__file__).parents[1]
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(root)})


class TestWeightsSetByHand:
    @pytest.mark.parametrize("hidden", [(), (6, 4)])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_nothing_else_is_needed(self, kind, hidden):
        X, _ = load(kind)
        model, expected = DeepLogisticClassifier(), fitted(kind, hidden)
        model.coefs_ = [coef.tolist() for coef in expected.coefs_]
        model.intercepts_ = [intercept.tolist() for intercept in expected.intercepts_]
        model.classes_ = expected.classes_
        if kind == "multilabel":
            model.out_activation_ = "logistic"
        label, probabilities = session(model, X, {"zipmap": False}).run(None, {"X": X})
        assert_array_equal(label, expected.predict(X))
        assert_allclose(probabilities, expected.predict_proba(X), atol=1e-12)

    def test_attributes_of_an_earlier_fit_do_not_count(self):
        X, _ = load("multiclass")
        expected = fitted("multiclass")
        model = small(()).fit(*load("binary"))
        model.coefs_, model.intercepts_, model.classes_ = expected.coefs_, expected.intercepts_, expected.classes_
        label, probabilities = session(model, X, {"zipmap": False}).run(None, {"X": X})
        assert_array_equal(label, expected.predict(X))
        assert_allclose(probabilities, expected.predict_proba(X), atol=1e-12)

    def test_what_is_missing_or_not_finite_is_named(self):
        X = np.eye(3)
        model = DeepLogisticClassifier()
        model.coefs_, model.classes_ = [np.full((3, 1), np.nan)], np.array([0, 1])
        with pytest.raises(NotFittedError, match="has no intercepts_"):
            to_onnx(model, X)
        model.intercepts_ = [np.zeros(1)]
        with pytest.raises(ValueError, match=r"coefs_\[0\] holds numbers that are not finite"):
            to_onnx(model, X)
