"""What the displays share: the import of matplotlib, and names that fit into their place."""

import re
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHARACTER_WIDTH = 0.6  # of the font size
_MIN_CHARACTERS = 8
_MAX_LINES = 3


def import_pyplot(display: str) -> Any:
    """Return `matplotlib.pyplot`; raise an ImportError that names the display if matplotlib is missing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{display} needs matplotlib: pip install "skrelu[plot]".') from error
    return plt


def wrap_name(name: Any, n_characters: int, max_lines: int = _MAX_LINES) -> str:
    """Return a name in lines of at most `n_characters`, ready to be drawn.

    Lines break after a space or a mark such as an underscore. Of a name that needs more than `max_lines` the start and
    the end are kept, as names may differ in either. A dollar sign stays a dollar sign.
    """
    lines, name = [""], " ".join(str(name).split())
    for piece in re.findall(r"[^\s_\-/.:]*[\s_\-/.:]*", name):
        if len((lines[-1] + piece).rstrip()) > n_characters and lines[-1]:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > n_characters:
            lines[-1:] = [lines[-1][:n_characters], lines[-1][n_characters:]]
    if len(lines) > max_lines:
        n_first = 0 if max_lines > 1 else (n_characters - 1) // 2
        last = name[:n_first].rstrip() + "…" + name[n_first + 1 - n_characters :].lstrip()
        lines = [*lines[: max_lines - 1], last]
    return "\n".join(line.rstrip() for line in lines).replace("$", r"\$")


def size_in_points(ax: Any) -> tuple[float, float]:
    """Return the width and the height of axes."""
    box = ax.get_window_extent()
    return float(box.width * 72 / ax.figure.dpi), float(box.height * 72 / ax.figure.dpi)


def label_axis(ax: "Axes", axis: Literal["x", "y"], name: Any) -> None:
    """Write a name along an axis, in as many lines as it needs there."""
    label = ax.xaxis.label if axis == "x" else ax.yaxis.label
    width, height = size_in_points(ax)
    n_characters = int((width if axis == "x" else height) / (CHARACTER_WIDTH * float(label.get_fontsize())))
    label.set_text(wrap_name(name, max(n_characters, _MIN_CHARACTERS)))
