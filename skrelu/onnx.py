"""The converter for skl2onnx: it writes a fitted network as an ONNX graph, which onnxruntime runs without Python."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skrelu._classifier import DeepLogisticClassifier
from skrelu._core.arrays import Array
from skrelu._cv import DeepLogisticClassifierCV
from skrelu._fitted import FittedNetwork, read_network

_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


def register() -> None:
    """Register the converters of DeepLogisticClassifier and DeepLogisticClassifierCV with skl2onnx.

    Call this once in a process. Then `skl2onnx.to_onnx` and `convert_sklearn` convert the classifiers alone, in
    pipelines, and in those meta-estimators of scikit-learn that skl2onnx converts. A second call changes nothing.

    Returns
    -------
    None

    Raises
    ------
    ImportError
        If skl2onnx is not installed. ``pip install "skrelu[onnx]"`` installs it, and onnxruntime.

    See Also
    --------
    skrelu.DeepLogisticClassifier : The classifier that is converted.

    Notes
    -----
    The graph has the outputs and options that skl2onnx gives scikit-learn's own classifiers:

    zipmap : {True, False, 'columns'}, default=True
        The form of the probabilities. True: a dictionary {label: probability} for each row. False: an array of shape
        (n_samples, n_classes). 'columns': one output for each class.
    nocl : bool, default=False
        Whether the labels are positions 0, 1, ... in `classes_` instead of the classes themselves; not with
        ``zipmap='columns'``.
    raw_scores : bool, default=False
        Whether to return scores in place of probabilities. They are those of `decision_function`, but for two classes
        there are two columns, as for LogisticRegression: minus the score, and the score. skl2onnx does not pass this
        option on from a pipeline: give it for the classifier itself,
        ``options={id(pipeline[-1]): {"raw_scores": True}}``.
    output_class_labels : bool, default=False
        Whether to return `classes_` as a third output; only without zipmap, for strings, int32 and int64.

    Input of type float32 is computed in float32, as usual in ONNX; any other type in float64, as `predict` does.
    Probabilities and scores are returned as float64 if the input is float64, else as float32. The dictionaries of
    ``zipmap=True`` always hold float32, as ONNX has no others. Labels that are numbers are returned as int64, False and
    True as 0 and 1. The label is that of the largest score, or the first of several such, so it does not depend on the
    rounding of probabilities.

    For multilabel targets the label is an indicator of shape (n_samples, n_labels), 1 where p > 1/2.

    The graph does not check its input. `predict` refuses NaN, infinity, and scores that overflow; onnxruntime does not.

    skl2onnx writes the graphs of meta-estimators itself. Some graphs of version 1.20 are wrong with every classifier:
    those of CalibratedClassifierCV around a pipeline or with ``method='isotonic'``, and of TunedThresholdClassifierCV.

    A model with ``predictive='laplace'`` raises NotImplementedError when it is converted: its probabilities need the
    curvature, which the graph does not hold. After ``set_params(predictive='map')`` it can be converted, with
    probabilities that are not moderated.

    Examples
    --------
    >>> import numpy as np
    >>> from onnxruntime import InferenceSession
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import skrelu.onnx
    >>> from skrelu import DeepLogisticClassifier
    >>> skrelu.onnx.register()
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(
    ...     StandardScaler(), DeepLogisticClassifier((10,), alpha=1.0, random_state=0)
    ... ).fit(X, y)
    >>> graph = to_onnx(model, X[:1], options={"zipmap": False})
    >>> session = InferenceSession(
    ...     graph.SerializeToString(), providers=["CPUExecutionProvider"]
    ... )
    >>> labels, probabilities = session.run(None, {"X": X})
    >>> bool((labels == model.predict(X)).all())
    True
    >>> bool(np.abs(probabilities - model.predict_proba(X)).max() < 1e-12)
    True
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(
            f'skrelu.onnx needs skl2onnx, which cannot be imported ({error}): pip install "skrelu[onnx]".'
        ) from error
    for kind in (DeepLogisticClassifier, DeepLogisticClassifierCV):
        update_registered_converter(kind, f"Skrelu{kind.__name__}", _infer_types, _convert, options=_OPTIONS)


def _infer_types(operator: Any) -> None:
    """Check that a model can be converted, and declare the types and shapes of its label and its probabilities."""
    from skl2onnx.common import data_types, utils

    labels = _read_convertible(operator.raw_operator).labels
    utils.check_input_and_output_numbers(operator, input_count_range=1, output_count_range=2)
    numbers = ("Boolean", "Double", "Float", "Int8", "Int32", "Int64", "UInt8")
    allowed = [getattr(data_types, f"{name}TensorType") for name in numbers]
    utils.check_input_and_output_types(operator, good_input_types=allowed)
    label, probabilities = operator.outputs
    n_rows = operator.inputs[0].get_first_dimension()
    n_classes = len(labels.classes)
    label_type = data_types.StringTensorType if _label_values(operator).dtype == object else data_types.Int64TensorType
    label.set_type(label_type([n_rows, n_classes] if labels.is_multilabel else [n_rows]))
    if any(
        other.type == "SklearnZipMap" and probabilities in other.inputs
        for other in operator.scope_inst.operators.values()
    ):
        probabilities.set_type(data_types.FloatTensorType())  # the only type that ONNX's ZipMap takes
    probabilities.type.shape = [n_rows, n_classes]


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Write the graph: the network, and from its scores the probabilities and the label."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import FloatTensorType, guess_proto_type

    model = operator.raw_operator
    label, probabilities = (output.full_name for output in operator.outputs)
    is_float32 = isinstance(operator.inputs[0].type, FloatTensorType)
    computed_in = TensorProto.FLOAT if is_float32 else TensorProto.DOUBLE
    returned_as = guess_proto_type(operator.outputs[1].type)
    network = _read_convertible(model)
    labels = network.labels

    def add(op_type: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = output or scope.get_unique_variable_name(op_type.lower())
        container.add_node(op_type, list(inputs), output, name=scope.get_unique_operator_name(op_type), **attributes)
        return output

    def constant(name: str, values: Array, proto_type: int) -> str:
        name = scope.get_unique_variable_name(name)
        container.add_initializer(name, proto_type, list(values.shape), values.ravel())
        return name

    z = add("Cast", operator.inputs[0].full_name, to=computed_in)
    intercepts = list(network.intercepts)
    mean = getattr(model, "feature_mean_", None)
    if is_float32 and mean is not None and len(mean) == len(network.coefs[0]) and mean.any():
        # In float32, x @ W loses digits if a mean is large beside its deviation. (x - m) @ W + (b + m @ W) does not.
        mean = mean.astype(np.float32).astype(np.float64)
        intercepts[0] = intercepts[0] + mean @ network.coefs[0]
        z = add("Sub", z, constant("mean", mean[np.newaxis], computed_in))
    for l, (coef, intercept) in enumerate(zip(network.coefs, intercepts, strict=True)):
        if l > 0:
            z = add("Relu", z)
        z = add("Gemm", z, constant("coef", coef, computed_in), constant("intercept", intercept, computed_in))
    scores = add("Concat", add("Neg", z), z, axis=1) if labels.n_outputs == 1 else z

    if labels.is_multilabel:
        zero = constant("zero", np.zeros(1), computed_in)
        add("Cast", add("Greater", scores, zero), output=label, to=TensorProto.INT64)
    else:
        # ArgMax takes the first of equal scores, as `Labels.decode` does.
        values = _label_values(operator)
        value_type = TensorProto.STRING if values.dtype == object else TensorProto.INT64
        index = add("ArgMax", scores, axis=1, keepdims=0)
        add("Gather", constant("classes", values, value_type), index, output=label, axis=0)

    if not container.get_options(model, {"raw_scores": False})["raw_scores"]:
        is_softmax = labels.loss.out_activation == "softmax"
        scores = add("Softmax", scores, axis=1) if is_softmax else add("Sigmoid", scores)
    add("Cast", scores, output=probabilities, to=returned_as)


def _read_convertible(model: Any) -> FittedNetwork:
    """Return the network of a model that can be converted."""
    check_is_fitted(
        model,
        "coefs_",
        msg="This %(name)s has no network to convert: call fit first (DeepLogisticClassifierCV with refit=True).",
    )
    if model.predictive == "laplace":
        raise NotImplementedError(
            "A model with predictive='laplace' cannot be converted: the graph would have to hold the curvature, too. "
            "set_params(predictive='map') converts the network, with probabilities that are not moderated."
        )
    network = read_network(model)
    network.check_finite()
    return network


def _label_values(operator: Any) -> Array:
    """Return the labels that the graph returns: int64, or UTF-8 strings as an array of bytes objects."""
    model = operator.raw_operator
    classes = np.asarray(model.classes_)
    if operator.scope_inst.get_options(model, {"nocl": False})["nocl"]:
        return np.arange(len(classes))
    if all(isinstance(label, str) for label in classes):
        return np.array([label.encode() for label in classes], dtype=object)
    with np.errstate(all="ignore"):
        values = classes.astype(np.int64) if classes.dtype.kind in "biuf" else None
    if values is None or (values != classes).any():
        raise ValueError(f"Labels of a converted model are strings or 64-bit integers, got {classes[:5].tolist()}.")
    return values
