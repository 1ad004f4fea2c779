"""The house is in order: each wing has its place and knows what it may know; docstrings tell the truth."""

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import skrelu
import skrelu.dask
import skrelu.inspection
import skrelu.onnx
from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._predictor import Predictor
from skrelu.dask import DaskDeepLogisticClassifier
from skrelu.inspection import RegionwiseLogisticClassifier

ESTIMATORS = [DeepLogisticClassifier, DeepLogisticClassifierCV]
EXPLANATIONS = [getattr(skrelu.inspection, name) for name in skrelu.inspection.__all__]
PACKAGE = Path(skrelu.__file__).parent
TESTS = Path(__file__).parent

# Each wing with the wings that it may import, and the libraries that it may know beside NumPy. The doors, at the top,
# may import everything.
WINGS = {
    "_core": ((), {"scipy", "threadpoolctl", "joblib"}),
    "_data": (("_core",), {"scipy", "sklearn"}),
    "_laplace": (("_core",), {"scipy"}),
    "_fit": (("_core", "_data", "_laplace"), {"scipy", "sklearn"}),
}
# Where a wing knows less than it may: the only files that import a library.
ONLY = {
    "sklearn": {"_fit.callbacks", "_data.parameters", "_data.validation", "_data.labels", "_data.rows", "_data.splits"}
    | {"_data.private_sklearn", "_data.moments"},
    "sklearn.callback": {"_fit.callbacks"},
    "threadpoolctl": {"_core.threads"},
}
MAX_FLOORS = 10
MAX_LINES = 400

PATHS = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py" or path.parent == PACKAGE
}


@cache
def all_imports_of(name):
    """Return the modules that a file imports, by their full names."""
    modules = set()
    for node in ast.walk(ast.parse(PATHS[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            modules.add(node.module)
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


def imports_of(name):
    """Return the files of the package that a file imports."""
    return {module.removeprefix("skrelu.") for module in all_imports_of(name) if module.startswith("skrelu.")}


def wing_of(name):
    return name.split(".")[0] if name.split(".")[0] in WINGS else None


def floor_of(name, above=()):
    """Return how many files the longest chain of imports passes, from this file down."""
    assert name not in above, f"a circle: {' > '.join((*above, name))}"
    return 1 + max((floor_of(below, (*above, name)) for below in imports_of(name) if below in PATHS), default=0)


@pytest.mark.parametrize("name", PATHS)
def test_a_file_imports_only_what_its_wing_may_know(name):
    wing = wing_of(name)
    if wing is None:
        return
    wings, libraries = WINGS[wing]
    assert {wing_of(module) for module in imports_of(name)} <= {wing, *wings}
    known = {"skrelu", "numpy", *libraries}
    standard = {"abc", "collections", "concurrent", "copy", "dataclasses", "enum", "functools", "inspect", "itertools"}
    standard |= {"math", "numbers", "operator", "os", "threading", "time", "types", "typing"}
    assert {module.split(".")[0] for module in all_imports_of(name)} <= known | standard


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_known_in_few_files(library):
    files = {
        name
        for name in PATHS
        if wing_of(name) and any(f"{module}.".startswith(f"{library}.") for module in all_imports_of(name))
    }
    assert files == ONLY[library]


@pytest.mark.parametrize("name", PATHS)
def test_no_circle_and_few_floors(name):
    assert floor_of(name) <= MAX_FLOORS


@pytest.mark.parametrize("name", PATHS)
def test_no_file_is_long(name):
    """Public docstrings are not counted."""
    text = PATHS[name].read_text()
    n_lines = len(text.splitlines())
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_":
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                n_lines -= first.end_lineno - first.lineno + 1
    assert n_lines <= MAX_LINES


@pytest.mark.parametrize("name", PATHS)
def test_every_module_has_its_test_file(name):
    if name in ("__init__", "_version", "_posterior"):  # nothing in them runs by itself
        return
    *folders, module = name.split(".")
    place = "/".join(folder.removeprefix("_") for folder in folders)
    assert (TESTS / place / f"test_{module.removeprefix('_')}.py").exists()


def test_private_names_of_scikit_learn_stand_in_two_files():
    """Those of callbacks in one, all others in another: one place breaks if they change."""
    private = re.compile(r"from sklearn[\w.]* import [^\n]*\b_\w|\._(?:accept_sample_weight|init_callback|skl_callb)")
    names = {name for name, path in PATHS.items() if private.search(path.read_text())}
    assert names <= {"_fit.callbacks", "_data.private_sklearn"}


def test_the_citation_is_of_this_version():
    citation = TESTS.parent / "CITATION.cff"
    assert f"\nversion: {skrelu.__version__}\n" in citation.read_text()


def test_network_and_loss_know_neither_each_other_nor_anything_above():
    assert imports_of("_core.network") == imports_of("_core.losses") == {"_core.arrays"}


def test_the_data_term_knows_no_penalty():
    assert not {"_core.penalty", "_core.objective"} & imports_of("_core.datafit")
    assert "_core.datafit" not in imports_of("_core.penalty")


def test_the_solver_is_called_in_one_place():
    places = [
        path.name for path in PACKAGE.rglob("*.py") if re.search(r"scipy_minimize\(|fmin_l_bfgs_b", path.read_text())
    ]
    assert places == ["solver.py"]


@pytest.mark.parametrize("estimator", [*ESTIMATORS, RegionwiseLogisticClassifier, DaskDeepLogisticClassifier])
def test_the_docstring_names_every_parameter_with_its_default(estimator):
    documented = dict(re.findall(r"^(\w+) : .*default=(.+)$", inspect.getdoc(estimator), flags=re.M))
    parameters = list(inspect.signature(estimator).parameters.values())
    assert {name: documented[name] for name in documented} == {
        parameter.name: repr(parameter.default) for parameter in parameters
    }


@pytest.mark.parametrize("estimator", [*ESTIMATORS, RegionwiseLogisticClassifier])
def test_the_docstring_names_every_fitted_attribute(estimator):
    from sklearn.datasets import load_iris

    options = {"hidden_layer_sizes": (3,), "max_iter": 1000} if estimator in ESTIMATORS else {}
    model = estimator(**options, random_state=0).fit(*load_iris(return_X_y=True))
    section = inspect.getdoc(estimator).split("Attributes\n")[1].split("See Also")[0]
    documented = set(", ".join(re.findall(r"^(\w+_(?:, \w+_)*) : ", section, flags=re.M)).split(", "))
    properties = {name for name, _ in inspect.getmembers(estimator, lambda member: isinstance(member, property))}
    fitted = {name for name in {*vars(model), *properties} if name.endswith("_") and not name.startswith("_")}
    assert documented == fitted | {"feature_names_in_"}


@pytest.mark.parametrize(
    "public",
    [
        skrelu.loss_and_gradient,
        skrelu.onnx.register,
        *filter(inspect.isfunction, EXPLANATIONS),
        *(
            method
            for kind in (*ESTIMATORS, Predictor, DaskDeepLogisticClassifier, *filter(inspect.isclass, EXPLANATIONS))
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
        assert f"{section}\n" in inspect.getdoc(public)
    for name in names:
        assert re.search(rf"^[\w, *]*\b{name}\b[\w, ]* : ", inspect.getdoc(public), flags=re.M)
