"""What an interrupted verification had found sound, so that it goes on from there.

One line of JSON for each shard that was found without fault, behind one line that
says of which dataset. A shard is passed over only if its commit is still the one
that was checked, byte for byte. Shards with faults are not noted: they are looked at again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from io import BufferedRandom
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from farm.dataset import strict_json
from farm.errors import UserError

STATE_VERSION = 1
FOLDER = Path("gaitfarm", "verify")
"""Where states lie that the user did not name, below the user's own cache folder."""


class StateError(UserError):
    """A state cannot be used: it cannot be opened or locked, is another verification's, or damaged."""


@dataclass(frozen=True)
class Checked:
    """A shard that was read to the last byte and found sound."""

    shard_id: str
    attempt_id: str
    record_sha256: str


@dataclass(frozen=True)
class _Header:
    gaitfarm_verify: int
    dataset_id: str


_CHECKED = TypeAdapter(Checked)
_HEADER = TypeAdapter(_Header)


def default_state(dataset_id: str) -> Path:
    """The state of a dataset where none is named: in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / FOLDER / f"{dataset_id}.jsonl"


class VerifyState:
    """A file to which sound shards are appended; locked for as long as it is open.

    Attributes:
        checked: By shard id: what the file said when it was opened.
    """

    def __init__(self, path: Path, dataset_id: str) -> None:
        """Open a state, or begin one.

        Raises:
            StateError: It cannot be opened or locked, is of another dataset or damaged, or another verification's.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BufferedRandom = path.open("r+b" if path.exists() else "w+b")
        except OSError as error:
            raise StateError(f"the state {path} cannot be opened: {error.strerror}; name another file") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.checked = self._read(dataset_id)
        except BlockingIOError:
            self._file.close()
            raise StateError(
                f"another verification writes the state {path}; let it end, or name another file"
            ) from None
        except OSError as error:  # for instance NFS without locks
            self._file.close()
            raise StateError(
                f"the state {path} cannot be locked or read: {error.strerror}; name a file on a local disk"
            ) from None
        except BaseException:
            self._file.close()
            raise

    def add(self, checked: Checked) -> None:
        """Note a sound shard; it is in the file when this returns.

        Raises:
            UserError: The disk is full, or gone.
        """
        try:
            self._file.write(json.dumps(asdict(checked)).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"the state {self.path} cannot be written: {error.strerror}; make room, or name another file"
            ) from None

    def close(self, *, finished: bool) -> None:
        """Let go of the file. A verification that has come to its end leaves none: the next one reads everything."""
        if finished:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # of a line that could not be written; it is checked again
            self._file.close()

    def _read(self, dataset_id: str) -> dict[str, Checked]:
        data = self._file.read()
        whole, newline, torn = data.rpartition(b"\n")
        if torn:  # killed in the midst of a line: that shard is checked again
            self._file.truncate(len(whole) + len(newline))
            self._file.seek(0, os.SEEK_END)
        lines = whole.split(b"\n") if newline else []
        if not lines:
            self._file.write(json.dumps({"gaitfarm_verify": STATE_VERSION, "dataset_id": dataset_id}).encode() + b"\n")
            self._file.flush()
            return {}
        mend = f"remove {self.path} to verify from the beginning, or name another file"
        try:
            header = _HEADER.validate_python(strict_json.parse(lines[0]))
            checked = [_CHECKED.validate_python(strict_json.parse(line)) for line in lines[1:]]
        except (ValueError, ValidationError) as error:
            line = str(error).splitlines()[0]
            raise StateError(
                f"the state {self.path} is damaged or no state of gaitfarm verify ({line}); {mend}"
            ) from None
        if header.gaitfarm_verify != STATE_VERSION:
            raise StateError(
                f"the state {self.path} has version {header.gaitfarm_verify}, known is {STATE_VERSION}; {mend}"
            )
        if header.dataset_id != dataset_id:
            raise StateError(
                f"the state {self.path} is of the dataset {header.dataset_id}, this one is {dataset_id}; {mend}"
            )
        return {item.shard_id: item for item in checked}
