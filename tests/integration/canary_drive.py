"""A driver that keeps all that it and its Ray write: `python -m tests.integration.canary_drive OUT SAMPLES FOLDER`.

Ray's folder is made in FOLDER. A run removes it, and the workers' logs, when all
went well; here they stay, to be searched for secrets.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from farm.errors import UserError
from tests.test_workers import drive
from workers import ray_session


def main() -> int:
    keep = sys.argv.pop()

    @contextlib.contextmanager
    def folder_that_stays() -> Iterator[str]:
        yield tempfile.mkdtemp(dir=keep)

    rmtree = shutil.rmtree

    def spares_logs(path: Any, *arguments: Any, **options: Any) -> None:
        if "gaitfarm-logs-" not in str(path):
            rmtree(path, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_session, "_temporary_folder", folder_that_stays)
        patch.setattr(shutil, "rmtree", spares_logs)
        try:
            return drive.main()
        except UserError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main())
