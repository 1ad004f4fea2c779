"""Run a script in a new process with the package as it was at another revision."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def check_out(revision: str) -> Iterator[Path]:
    """Yield a folder that holds the package as it was at a revision of the repository."""
    archive = subprocess.run(["git", "archive", revision, "skrelu"], cwd=ROOT, check=False, capture_output=True)
    if archive.returncode != 0:
        raise SystemExit(f"There is no revision {revision!r} with a folder skrelu: {archive.stderr.decode().strip()}")
    with TemporaryDirectory() as folder, tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
        yield Path(folder).resolve()


@contextmanager
def working_tree() -> Iterator[Path]:
    """Yield a folder that holds a copy of the package as it is in the working tree now."""
    with TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "skrelu", Path(folder) / "skrelu", ignore=shutil.ignore_patterns("__pycache__"))
        yield Path(folder).resolve()


def environment_with(package_folder: Path) -> dict[str, str]:
    """Return the environment of a process that imports the package of a folder, even if another one is installed."""
    return os.environ | {"PYTHONPATH": str(package_folder), "PYTHONDONTWRITEBYTECODE": "1"}


def run_with(package_folder: Path, arguments: list[str]) -> str:
    """Run Python on a script with the package of a folder first on the path; return the printed text."""
    command = [sys.executable, *arguments]
    environment = environment_with(package_folder)
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
