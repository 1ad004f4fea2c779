"""Without Dask the module says what to install, and the rest of the package does not need it."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys
sys.modules[{module!r}] = None
import skrelu, skrelu.inspection
try:
    import skrelu.dask
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize("module", ["dask", "distributed"])
def test_the_error_names_the_extra(module):
    command = [sys.executable, "-W", "error", "-c", BLOCKED.format(module=module)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'pip install "skrelu[dask]"' in run.stdout
