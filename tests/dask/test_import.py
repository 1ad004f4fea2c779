"""Without Dask the module says what to install, and the rest of the package does not need it."""

import subprocess
import sys

BLOCKED = """
import sys
sys.modules["distributed"] = None
import skrelu, skrelu.inspection
try:
    import skrelu.dask
except ImportError as error:
    print(error)
"""


def test_the_error_names_the_extra():
    command = [sys.executable, "-W", "error", "-c", BLOCKED]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'pip install "skrelu[dask]"' in run.stdout
