"""Tasks of scikit-learn's callback protocol, with a stand-in for its context."""

import numpy as np

from skrelu._fit.callbacks import FitTask, IterateTasks, drop_callbacks


class RecordingContext:
    """Stands in for scikit-learn's callback context."""

    def __init__(self, stop_after=None):
        self.events = []
        self.stop_after = stop_after

    def subcontext(self, *, task_name, max_subtasks):
        number = sum(event == "begin" for event, *_ in self.events)
        return RecordingTask(self, task_name, number)


class RecordingTask:
    def __init__(self, context, name, number):
        self.context, self.name, self.number = context, name, number

    def call_on_fit_task_begin(self, *, estimator, X, reconstruction_attributes):
        self.context.events.append(("begin", self.number, reconstruction_attributes()))

    def call_on_fit_task_end(self, *, estimator, X, reconstruction_attributes):
        self.context.events.append(("end", self.number, reconstruction_attributes()))
        return self.number + 1 == self.context.stop_after


def make_tasks(context):
    task = FitTask(context, "estimator", {"X": "X"}, lambda parameters: float(parameters[0]))
    return IterateTasks(task, np.array([4.0]))


def test_one_task_per_iterate_each_from_where_the_last_one_ended():
    context = RecordingContext()
    tasks = make_tasks(context)
    for value in (3.0, 2.0):
        tasks.begin()
        tasks.begin()  # several evaluations on the way to an iterate
        assert not tasks.end(np.array([value]))
    tasks.begin()  # an evaluation on the way to an iterate that is never found
    tasks.close()
    tasks.close()
    assert context.events == [
        ("begin", 0, 4.0),
        ("end", 0, 3.0),
        ("begin", 1, 3.0),
        ("end", 1, 2.0),
        ("begin", 2, 2.0),
        ("end", 2, 2.0),
    ]


def test_a_callback_may_ask_to_stop():
    tasks = make_tasks(RecordingContext(stop_after=2))
    answers = []
    for value in (3.0, 2.0):
        tasks.begin()
        answers.append(tasks.end(np.array([value])))
    assert answers == [False, True]


def test_a_fit_that_nobody_watches_has_no_tasks():
    task = FitTask.unwatched()
    assert task.subtask("start") is task
    tasks = IterateTasks(task, np.zeros(1))
    tasks.begin()
    assert tasks.end(np.ones(1)) is False
    tasks.close()


def test_a_saved_model_holds_no_callbacks_and_an_unfitted_one_does():
    state = {"alpha": 1.0, "_skl_callbacks": ["callback"], "_callback_fit_ctx": "context"}
    unfitted, fitted = dict(state), dict(state)
    drop_callbacks(unfitted, is_fitted=False)
    drop_callbacks(fitted, is_fitted=True)
    assert unfitted == {"alpha": 1.0, "_skl_callbacks": ["callback"]}
    assert fitted == {"alpha": 1.0}
