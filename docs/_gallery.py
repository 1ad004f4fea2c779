"""How the gallery is built: the order of its pages, and that their warnings are errors."""

import warnings

# From the first steps to the fine points; a page that is not listed comes last.
_ORDER = [
    "plot_start_to_onnx.py",
    "plot_depth.py",
    "plot_logistic_regression.py",
    "plot_adult.py",
    "plot_explain.py",
    "plot_grid_search.py",
    "plot_digits.py",
    "plot_early_stopping.py",
    "plot_evidence.py",
    "plot_calibration.py",
    "plot_uncertainty.py",
    "plot_callbacks.py",
    "plot_dask.py",
    "plot_check_the_equations.py",
]


def order(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


_outside: list[warnings.catch_warnings] = []


def warnings_are_errors(gallery_conf: dict, name: str, when: str) -> None:
    """Make warnings errors before a page runs, and give Sphinx its own filters back after it."""
    if when == "before":
        _outside.append(warnings.catch_warnings())
        _outside[-1].__enter__()
        warnings.simplefilter("error")
        # plt.show() says that there is no display.
        warnings.filterwarnings(
            "ignore", "FigureCanvasAgg is non-interactive", UserWarning
        )
    else:
        _outside.pop().__exit__(None, None, None)
