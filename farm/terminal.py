"""How the command line speaks at a terminal: consoles, and the one place where errors become messages.

Exit codes: 1 for what is our fault (the traceback is kept in a file), 2 for what
the caller can mend (one message, no traceback).
"""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from farm.errors import MissingDependencyError, UserError

OUT_CONSOLE = Console()
"""For people's eyes on stdout; machine-readable output goes through `typer.echo`."""

ERROR_CONSOLE = Console(stderr=True)

EXTRA_OF_MODULE = {
    "opensim": "farm",
    "pyrender": "farm",
    "OpenGL": "farm",
    "trimesh": "farm",
    "pybullet": "farm",
    "scipy": "farm",
    "matplotlib": "farm",
    "PIL": "farm",
    "jinja2": "farm",
    "cma": "farm",
    "ribs": "farm",
    "ray": "farm",
    "torch": "train",
    "safetensors": "train",
    "pyarrow": "export",
}
"""Importable name -> the extra of pyproject.toml that brings it."""


def _missing_dependency(error: ImportError) -> MissingDependencyError | None:
    """The message for a part that is not installed here, or None if the fault is our own."""
    link: BaseException | None = error
    while link is not None:  # ray.train raises a nameless error of its own from torch's
        module = (getattr(link, "name", None) or "").partition(".")[0]
        if isinstance(link, ImportError) and module in EXTRA_OF_MODULE:
            if isinstance(link, ModuleNotFoundError) and link.name == module:
                extra = EXTRA_OF_MODULE[module]
                return MissingDependencyError(
                    f"this command needs {module}, which is not installed here: pip install 'gaitfarm[{extra}]'"
                )
            return MissingDependencyError(
                f"{module} is installed but does not load ({link}): `gaitfarm doctor` says what it lacks"
            )
        link = link.__cause__ or link.__context__
    return None


def say_error(message: str) -> None:
    # Text, not markup: messages quote the user's own words, which may hold brackets.
    ERROR_CONSOLE.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def _keep_traceback() -> Path:
    with tempfile.NamedTemporaryFile("w", prefix="gaitfarm-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(traceback.format_exc())
    return Path(log.name)


class NamedErrors(TyperGroup):
    """Turns exceptions into one message on stderr and an exit code, whoever calls the app."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            failure: UserError = error
        except ImportError as error:
            missing = _missing_dependency(error)
            if missing is None:
                return self._unexpected(ctx, error)
            failure = missing
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:  # the reader, `head` for one, has seen enough: click ends quietly
            raise
        except Exception as error:
            if hasattr(error, "exit_code"):  # click's own usage errors print themselves
                raise
            return self._unexpected(ctx, error)
        if ctx.params.get("debug"):
            traceback.print_exception(failure)
        say_error(str(failure))
        raise typer.Exit(2)

    def _unexpected(self, ctx: Any, error: Exception) -> Any:
        if ctx.params.get("debug"):
            traceback.print_exception(error)
            where = ""
        else:
            where = f" (traceback in {_keep_traceback()}, or run again as `gaitfarm --debug ...`)"
        say_error(f"unexpected {type(error).__name__}: {str(error) or 'no message'}{where}")
        raise typer.Exit(1)
