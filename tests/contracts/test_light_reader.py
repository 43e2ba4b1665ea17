"""A downstream team installs and imports the reader and the command line without any engine."""

from __future__ import annotations

import subprocess
import sys

import pytest

ENGINES = ("opensim", "pyrender", "OpenGL", "pybullet", "cv2", "ray", "torch", "scipy", "matplotlib", "trimesh",
           "pyarrow", "xarray", "tensorstore", "pandas")  # fmt: skip

PROBE = """
import importlib, sys

class Missing:
    '''Makes the engines impossible to import, as on a machine that does not have them.'''
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {engines!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Missing())
importlib.import_module({module!r})
print(sorted(set(name.split('.')[0] for name in sys.modules) & set({engines!r})))
"""


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    "module",
    [
        "farm.dataset.reader",
        "farm.dataset.stream",
        "farm.dataset.cache",
        "farm.dataset.pull",
        "farm.dataset.verify",
        "farm.cli",
        "farm.storage",
    ],
)
def test_imports_without_engines(module: str) -> None:
    done = _run(PROBE.format(engines=ENGINES, module=module))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_front_door_opens_without_engines() -> None:
    done = _run(PROBE.format(engines=ENGINES, module="farm.dataset") + "\nprint('zarr' in sys.modules)")
    assert done.stdout.split() == ["[]", "False"], done.stderr
    done = _run(PROBE.format(engines=ENGINES, module="farm.errors") + "\nfrom farm.dataset import GaitDataset")
    assert done.returncode == 0, done.stderr


def test_the_command_line_starts_without_the_reader() -> None:
    """`gaitfarm --help` waits for no Zarr and no DuckDB."""
    done = _run(
        "import sys, farm.cli\nprint([name for name in ('zarr', 'duckdb', 'boto3', 'av') if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_probe_sees_an_engine() -> None:
    done = _run(PROBE.format(engines=ENGINES, module="farm.errors") + "\nimport scipy")
    assert done.returncode == 1
    assert "No module named 'scipy'" in done.stderr
