"""The house is in order: imports go down only, docstrings tell the truth."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import skrelu
import skrelu.onnx
from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._predictor import Predictor
from skrelu.inspection import LossCurveDisplay

ESTIMATORS = [DeepLogisticClassifier, DeepLogisticClassifierCV]
PACKAGE = Path(skrelu.__file__).parent

# Top to bottom; each file may import only files below it.
LAYERS = [
    "onnx",
    "inspection.__init__",
    "inspection._loss_curve",
    "__init__",
    "_cv",
    "_path",
    "_classifier",
    "_predictor",
    "_persistence",
    "_functional",
    "_results",
    "_restarts",
    "_problem",
    "_posterior",
    "_evidence",
    "_leave_one_out",
    "_monitor",
    "_solver",
    "_training_data",
    "_folds",
    "_checks",
    "_labels",
    "_curvature",
    "_objective",
    "_terms",
    "_penalty",
    "_blocks",
    "_threads",
    "_network",
    "_loss",
    "_typing",
    "_version",
]


def imports_of(name):
    """Return the files of the package that a file imports."""
    tree = ast.parse((PACKAGE / f"{name.replace('.', '/')}.py").read_text())
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            modules.add(node.module)
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return {module.removeprefix("skrelu.") for module in modules if module.startswith("skrelu.")}


def test_every_file_has_its_place():
    paths = [path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")]
    assert sorted(LAYERS) == sorted(".".join(path.parts) for path in paths)


@pytest.mark.parametrize("name", LAYERS)
def test_each_file_imports_only_files_below_it(name):
    below = LAYERS[LAYERS.index(name) + 1 :]
    assert imports_of(name) <= set(below)


def test_the_citation_is_of_this_version():
    citation = Path(__file__).parent.parent / "CITATION.cff"
    assert f"\nversion: {skrelu.__version__}\n" in citation.read_text()


def test_network_and_loss_know_neither_each_other_nor_anything_above():
    assert imports_of("_network") == imports_of("_loss") == {"_typing"}


def test_the_solver_is_called_in_one_place():
    places = [
        path.name for path in PACKAGE.rglob("*.py") if re.search(r"scipy_minimize\(|fmin_l_bfgs_b", path.read_text())
    ]
    assert places == ["_solver.py"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_docstring_names_every_parameter_with_its_default(estimator):
    documented = dict(re.findall(r"^    (\w+) : .*default=(.+)$", estimator.__doc__, flags=re.M))
    parameters = list(inspect.signature(estimator).parameters.values())
    assert {name: documented[name] for name in documented} == {
        parameter.name: repr(parameter.default) for parameter in parameters
    }


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_docstring_names_every_fitted_attribute(estimator):
    from sklearn.datasets import load_iris

    model = estimator((3,), max_iter=1000, random_state=0).fit(*load_iris(return_X_y=True))
    section = estimator.__doc__.split("Attributes\n")[1].split("See Also")[0]
    documented = set(", ".join(re.findall(r"^    (\w+_(?:, \w+_)*) : ", section, flags=re.M)).split(", "))
    fitted = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    assert documented == fitted | {"feature_names_in_"}


@pytest.mark.parametrize(
    "public",
    [
        skrelu.loss_and_gradient,
        skrelu.onnx.register,
        *(
            method
            for kind in (*ESTIMATORS, Predictor, LossCurveDisplay)
            for name in vars(kind)
            if name[0] != "_" and callable(method := getattr(kind, name))
        ),
    ],
)
def test_public_functions_document_parameters_and_returns(public):
    if public.__name__ in ("set_fit_request", "set_score_request"):  # made by scikit-learn
        return
    names = set(inspect.signature(public).parameters) - {"self"}
    for section in ("Parameters", "Returns") if names else ("Returns",):
        assert f"{section}\n" in public.__doc__
    for name in names:
        assert re.search(rf"^ +[\w, *]*\b{name}\b[\w, ]* : ", public.__doc__, flags=re.M)
