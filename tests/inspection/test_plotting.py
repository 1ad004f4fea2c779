"""Names that fit into their place, and the message where matplotlib is missing."""

import sys

import matplotlib
import pytest

from skrelu.inspection._plotting import import_pyplot, label_axis, wrap_name

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.mark.parametrize(
    ("name", "wrapped"),
    [
        ("age", "age"),
        (3, "3"),
        ("", ""),
        ("mean radius", "mean radius"),
        ("petal length (cm)", "petal length\n(cm)"),
        ("hours_per_week", "hours_per_\nweek"),
        ("twelve_chars", "twelve_chars"),
        ("a" * 30, "a" * 12 + "\n" + "a" * 12 + "\n" + "a" * 6),
        ("ab " + "c" * 14, "ab\n" + "c" * 12 + "\n" + "c" * 2),
        ("price in $ or $", "price in \\$\nor \\$"),
        ("one two\n three", "one two\nthree"),
    ],
)
def test_lines_break_after_spaces_and_marks(name, wrapped):
    assert wrap_name(name, 12) == wrapped


def test_what_is_cut_keeps_its_start_and_its_end():
    name = "one_two_three_four_five_six_seven_eight"
    assert wrap_name(name, 8, max_lines=2) == "one_two_\n…n_eight"
    assert wrap_name(name, 8, max_lines=1) == "one…ight"
    assert wrap_name(name, 9, max_lines=1) == "one_…ight"
    assert wrap_name("a" * 40, 8, max_lines=2) == "a" * 8 + "\n…" + "a" * 7
    assert wrap_name("class number 17", 9, max_lines=1) == "clas…r 17"


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("width", [2.4, 6.4])
def test_a_label_is_no_longer_than_its_axis(axis, width):
    name = "the concentration of something with a long name in the blood after a meal, in milligrams per decilitre"
    figure, ax = plt.subplots(figsize=(width, width))
    label_axis(ax, axis, name)
    figure.canvas.draw()
    label = getattr(ax, f"{axis}axis").label
    box, axes_box = label.get_window_extent(), ax.get_window_extent()
    assert (box.width <= axes_box.width) if axis == "x" else (box.height <= axes_box.height)
    assert label.get_text().startswith("the concentration")
    plt.close(figure)


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'^ThisDisplay needs matplotlib: pip install "skrelu\[plot\]"\.$'):
        import_pyplot("ThisDisplay")
