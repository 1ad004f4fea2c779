"""The choice of an output: its score, its probability and its name, against those of a fitted classifier."""

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris

from skrelu import DeepLogisticClassifier
from skrelu._core.losses import BinaryLoss, MultinomialLoss
from skrelu._data.labels import Labels
from skrelu.inspection._outputs import Output, check_count, distinct_parts, fit_labels, shorten

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TWO = Labels(np.array(["no", "yes"]), 1, BinaryLoss())
THREE = Labels(np.array(["a", "b", "c"]), 3, MultinomialLoss())
MULTI = Labels(np.arange(3), 3, BinaryLoss())
SCORES = np.array([[1.0, 3.0, -2.0], [0.0, 0.5, 4.0], [1.0, 2.0, -1.0]])


def test_the_score_of_the_first_of_two_classes_is_the_negative_one():
    scores = SCORES[:, :1]
    assert_array_equal(Output.choose(TWO, "yes", scores).select(scores), scores[:, 0])
    assert_array_equal(Output.choose(TWO, "no", scores).select(scores), -scores[:, 0])
    assert Output.choose(TWO, None, -scores).label == "yes"


def test_scores_of_classes_are_centred_and_those_of_labels_are_not():
    assert_allclose(Output.choose(THREE, "b", SCORES).select(SCORES), [3 - 2 / 3, 0.5 - 1.5, 2 - 2 / 3])
    assert_array_equal(Output.choose(MULTI, 1, SCORES).select(SCORES), [3, 0.5, 2])
    coef = np.random.RandomState(0).randn(4, 3, 5)
    assert_allclose(Output.choose(THREE, "c", SCORES).select(coef), (2 * coef[:, 2] - coef[:, 0] - coef[:, 1]) / 3)


@pytest.mark.parametrize("labels", [THREE, MULTI])
def test_without_a_choice_it_is_the_largest_in_most_rows(labels):
    assert Output.choose(labels, None, SCORES).number == 1
    assert Output.choose(labels, None, SCORES[1:2]).number == 2
    assert Output.choose(labels, None, SCORES[:2]).number == 1  # of equal counts the first


@pytest.mark.parametrize("kind", ["two classes", "three classes", "multilabel"])
def test_probabilities_are_those_of_the_classifier(kind):
    X, y = load_iris(return_X_y=True)
    y = {"two classes": y > 1, "three classes": y, "multilabel": np.column_stack((y > 0, y > 1)).astype(int)}[kind]
    classifier = DeepLogisticClassifier((3,), alpha=1.0, random_state=0).fit(X, y)
    labels = classifier._network().labels
    scores = classifier.decision_function(X).reshape(len(X), -1)
    for number, label in enumerate(classifier.classes_):
        output = Output.choose(labels, label, scores)
        assert output.label == label
        assert_allclose(output.probability(scores), classifier.predict_proba(X)[:, number], rtol=1e-12)
        if output.is_log_odds:
            assert_allclose(1 / (1 + np.exp(-output.select(scores))), output.probability(scores), rtol=1e-9)


def test_probabilities_may_underflow():
    scores = np.array([[0.0, 2000.0, 0.0]])
    assert Output.choose(THREE, "a", scores).probability(scores) == 0
    assert Output.choose(TWO, "no", scores[:, 1:2]).probability(scores[:, 1:2]) == 0


def test_names_say_what_the_score_is():
    assert Output(TWO, 0).score_name == "log-odds of no"
    assert Output(MULTI, 2).score_name == "log-odds of 2"
    assert Output(THREE, 2).score_name == "score of c less the mean of all classes"


@pytest.mark.parametrize("output", ["d", 1, ["a"], np.array(["a", "b", "c"])])
def test_an_unknown_label_is_refused(output):
    with pytest.raises(ValueError, match=r"output must be one of the labels \['a', 'b', 'c'\], or None, got"):
        Output.choose(THREE, output, SCORES)


def test_the_middle_of_a_long_name_is_left_out():
    assert shorten("mean  radius", 11) == "mean radius"
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert shorten("abcdefghij", 6) == "abc…ij"
    assert [len(shorten("abcdefghij", n)) for n in range(2, 12)] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 10]


def test_words_that_all_long_names_share_are_left_out():
    names = [f"size of the {part} in microns" for part in ("wide cell", "wide nucleus")]
    assert distinct_parts(names, 20) == ["…cell…", "…nucleus…"]
    assert distinct_parts(names, 30) == names
    assert distinct_parts(names[:1], 10) == names[:1]
    assert distinct_parts(["one name of a column", "another name of a row"], 5) == [
        "one name of a column",
        "another name of a row",
    ]
    assert distinct_parts(["column_number_1", "column_number_12"], 5) == ["…1", "…12"]
    assert distinct_parts([3, 4], 5) == ["3", "4"]
    assert distinct_parts([], 5) == []


def test_names_whose_shared_words_overlap_stay():
    names = ["area of a nucleus", "area of a of a nucleus"]
    assert distinct_parts(names, 5) == names


@pytest.mark.parametrize("count", [0, -1, 2.0, "3", None, True])
def test_counts_are_positive_integers(count):
    check_count(np.int64(3), "n_regions")
    with pytest.raises(ValueError, match="n_regions must be an integer of at least 1, got"):
        check_count(count, "n_regions")


def test_lines_of_labels_fit_in_a_row():
    _, ax = plt.subplots(figsize=(6.4, 4.8))
    usual, n_usual = fit_labels(ax, 4)
    assert usual == plt.rcParams["font.size"]
    smaller, n_more = fit_labels(ax, 15)
    assert smaller < usual
    assert n_more >= n_usual
    assert 15 * 2 * smaller < 0.77 * 4.8 * 72
    assert fit_labels(ax, 15, 1)[0] > smaller
    assert fit_labels(ax, 1000)[0] >= 6
    plt.close("all")
