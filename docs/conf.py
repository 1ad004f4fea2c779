"""Sphinx builds the site from the pages beside this file: `python -m sphinx -W -b html docs docs/_build/html`.

No network is needed: MathJax is copied into the site, and no inventory of another project is fetched.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for _gallery

import skrelu

project = "skrelu"
author = "The skrelu developers"
copyright = f"2026, {author}. BSD-3-Clause"
release = version = skrelu.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
# Docstrings name types such as "array-like", which are no objects.
nitpicky = False
smartquotes = False  # they would turn the quotes of default='evidence' round
toc_object_entries_show_parents = "hide"
default_role = "code"  # docstrings put code in single backticks

myst_enable_extensions = [
    "amsmath",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "fieldlist",
]
myst_heading_anchors = 4
myst_dmath_double_inline = True

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more
numpydoc_show_class_members = False  # the template lists them
numpydoc_xref_param_type = False

# Progress bars of the gallery: plain text that fits the column, also if the site is built in a terminal.
os.environ |= {"TTY_COMPATIBLE": "0", "COLUMNS": "64"}
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"(compare_and_save|__init__)\.py",
    "within_subsection_order": "_gallery.order",
    "reset_modules": ("matplotlib", "_gallery.warnings_are_errors"),
    "reset_modules_order": "both",
    "abort_on_example_error": True,
    "doc_module": ("skrelu",),
    "reference_url": {"skrelu": None},
    "backreferences_dir": "api/backreferences",
    "download_all_examples": False,
    "remove_config_comments": True,
    "capture_repr": (),
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,  # seconds: how long a page takes says something of the machine alone
    "write_computation_times": False,
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "skrelu"
html_static_path = ["_static"]
html_css_files = ["skrelu.css"]
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# There is nothing below these pages.
html_sidebars = {
    page: [] for page in ("start", "contributing", "citing", "changelog")
}
html_show_sourcelink = False
html_copy_source = False
