"""The code blocks of the README and of the site's pages run, and show what they say."""

import ast
import doctest
import re
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).parent.parent
MADE = {"_build", "api", "auto_examples"}  # by Sphinx, from the docstrings and the gallery
PAGES = [
    ROOT / "README.md",
    *(path for path in sorted(ROOT.glob("docs/**/*.md")) if path.relative_to(ROOT).parts[1] not in MADE),
]
BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>python|pycon)\n(?P<code>.*?)^(?P=indent)```$", flags=re.M | re.S)


class Failures:
    """Takes what a doctest runner reports."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


def run_page(text, name):
    """Run the blocks of a page in one namespace, in their order; return how many, and what went wrong in sessions."""
    namespace = {"__name__": name}
    failures = Failures()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        line = text[: block.start("code")].count("\n")
        code = re.sub(f"^{block['indent']}", "", block["code"], flags=re.M)
        if block["kind"] == "python":
            exec(compile(ast.increment_lineno(ast.parse(code), line), name, "exec"), namespace)
        else:
            session = doctest.DocTestParser().get_doctest(code, namespace, name, name, line)
            runner.run(session, out=failures.write, clear_globs=False)
            namespace = session.globs
    return len(blocks), failures.text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_code_of_a_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    _, failures = run_page(path.read_text(), str(path.relative_to(ROOT)))
    assert not failures, failures


def test_every_block_that_looks_like_python_is_run():
    for path in PAGES:
        text = path.read_text()
        assert len(re.findall(r"^ *```py", text, flags=re.M)) == len(BLOCK.findall(text)), path


@pytest.mark.parametrize(
    "block", ["```python\n1 / 0\n```\n", "```python\nx = 1\n```\n```pycon\n>>> x\n2\n```\n", "```pycon\n>>> y\n1\n```"]
)
def test_a_wrong_page_is_noticed(block):
    try:
        n_blocks, failures = run_page(block, "page")
    except ZeroDivisionError:
        return
    assert n_blocks == block.count("```py")
    assert failures


def test_a_right_page_passes():
    blocks = [
        "```python\nx = 1\n```",
        "- a\n\n  ```pycon\n  >>> x\n  1\n  >>> y = x + 1\n  ```",
        "```python\nassert y == 2\n```",
    ]
    page = "\n\n".join(blocks)
    assert run_page(page, "page") == (3, "")


def test_every_gallery_page_has_its_place():
    names = re.findall(r'"(plot_\w+\.py)"', (ROOT / "docs/_gallery.py").read_text())
    assert sorted(names) == sorted(path.name for path in ROOT.glob("examples/plot_*.py"))
