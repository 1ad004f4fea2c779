"""The outcomes of a fit, against the table that `optimize_result_` promises."""

import pytest

from skrelu._fit.outcome import Outcome

STATUSES = {
    **dict.fromkeys(("GRADIENT", "VALUE", "PROGRESS"), 0),
    **dict.fromkeys(("ALPHA", "NO_ROUND", "MAX_ITER", "MAX_FUN"), 1),
    **dict.fromkeys(("LINE_SEARCH", "STALL", "CURVATURE", "OVERFLOW"), 2),
    **dict.fromkeys(("EARLY_STOPPING", "CALLBACK", "INTERRUPTED"), 99),
}
SUCCESSES = {"GRADIENT", "VALUE", "PROGRESS", "EARLY_STOPPING", "CALLBACK"}


def test_no_outcome_is_another_name_of_one():
    assert set(Outcome.__members__) == {outcome.name for outcome in Outcome} == set(STATUSES)


@pytest.mark.parametrize("name", STATUSES)
def test_status_and_success(name):
    outcome = Outcome[name]
    assert outcome.status == STATUSES[name]
    assert outcome.is_converged is (STATUSES[name] == 0)
    assert outcome.is_success is (name in SUCCESSES)


@pytest.mark.parametrize("outcome", Outcome)
def test_advice_is_for_those_who_can_do_something(outcome):
    """A fit that ended as it was meant to needs none, and who interrupted it knows what to do."""
    needs_advice = outcome.name not in SUCCESSES | {"INTERRUPTED"}
    assert bool(outcome.advice) is needs_advice
    if needs_advice:
        assert outcome.advice.endswith(".")


@pytest.mark.parametrize("outcome", Outcome)
def test_a_message_continues_a_sentence(outcome):
    """It stands between 'ended before it found a minimum: ' and ' (n_iter_=...'."""
    assert outcome.message
    assert outcome.message[0].islower()
    assert not outcome.message.endswith(".")


def test_each_message_is_said_once():
    assert len({outcome.message for outcome in Outcome}) == len(Outcome)


@pytest.mark.parametrize("limit", ["max_iter", "max_fun"])
def test_a_limit_is_named_as_on_the_estimator(limit):
    outcome = Outcome[limit.upper()]
    assert outcome.message.startswith(limit)
    assert f"Increase {limit}," in outcome.advice


def test_where_no_round_was_completed_both_limits_and_the_way_out_are_named():
    assert Outcome.NO_ROUND.message.startswith("max_iter or max_fun was reached")
    assert "set alpha to a number" in Outcome.NO_ROUND.advice
