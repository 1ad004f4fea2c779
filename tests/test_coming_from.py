"""The pages for those who come from another classifier leave out no parameter and no attribute of either."""

import inspect
import re
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skrelu import DeepLogisticClassifier

GOING = {"penalty"}  # of LogisticRegression: deprecated, and gone from scikit-learn 1.10

PAGES = Path(__file__).parent.parent / "docs" / "coming_from"


def parameters_of(estimator):
    return set(inspect.signature(estimator).parameters)


def attributes_of(estimator):
    """Return the fitted attributes that a docstring of numpydoc names."""
    section = inspect.getdoc(estimator).split("Attributes\n")[1].split("See Also")[0]
    return set(re.findall(r"^(\w+_) : ", section, flags=re.M))


def rows_of(name):
    """Return the names in the first column of the tables, by the heading of their section."""
    sections = re.split(r"^## ", (PAGES / f"{name}.md").read_text(), flags=re.M)[1:]
    return {section.split("\n")[0]: re.findall(r"^\| `(\w+)` \|", section, flags=re.M) for section in sections}


@pytest.mark.parametrize(
    ("name", "estimator"), [("mlpclassifier", MLPClassifier), ("logisticregression", LogisticRegression)]
)
def test_every_parameter_and_attribute_of_the_other_has_a_row(name, estimator):
    rows = rows_of(name)
    assert len(set(rows["Parameters"])) == len(rows["Parameters"])
    assert parameters_of(estimator) <= set(rows["Parameters"])
    attributes = next(rows[heading] for heading in rows if heading.startswith("Attributes"))
    assert attributes_of(estimator) <= set(attributes)


@pytest.mark.parametrize(
    ("name", "estimator"), [("mlpclassifier", MLPClassifier), ("logisticregression", LogisticRegression)]
)
def test_a_row_names_a_parameter_of_one_of_them(name, estimator):
    """So a parameter that is taken away, or was never there, is noticed."""
    known = parameters_of(estimator) | parameters_of(DeepLogisticClassifier) | GOING
    assert set(rows_of(name)["Parameters"]) <= known


@pytest.mark.parametrize("name", ["mlpclassifier", "logisticregression", "skorch"])
def test_every_parameter_here_is_named(name):
    section = (PAGES / f"{name}.md").read_text().split("## Parameters")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    assert parameters_of(DeepLogisticClassifier) <= named
