"""The named errors: one class for each thing that a caller may want to handle.

`UserError` and its children carry a message that is meant for the person at the
terminal: what was wrong, what is allowed, how to mend it. The command line
prints that message alone and exits with 2.
"""

from __future__ import annotations

from collections.abc import Sequence


class GaitfarmError(Exception):
    """Base of every error that gaitfarm raises on purpose."""


class UserError(GaitfarmError):
    """Something that the person who called us can mend; printed without a traceback."""


class CampaignError(UserError):
    """A campaign that cannot be run as written: unknown key, reversed range, missing file."""


class FormatError(UserError):
    """A dataset, shard, checkpoint or keypoint file that is damaged, foreign, or of another version."""


class StorageError(UserError):
    """Storage that cannot be reached, refuses us, or is full. Raised after the retries are spent."""


class StorageUnavailableError(StorageError):
    """Storage that fails now and may work again by itself: it does not answer, or asks us to slow down."""


class ObjectNotFoundError(StorageError):
    """There is no object under that key."""


class AlreadyExistsError(StorageError):
    """`put_once` found another object under that key: somebody else won."""


class StateMismatchError(UserError):
    """A saved position of a reader that belongs to other data, or to another order of it."""


class MissingDependencyError(UserError):
    """A part of gaitfarm that is not installed here; the message says how to install it."""


class RejectedSample(GaitfarmError):
    """A gait that is not good enough. Expected: counted and kept in the catalogue with its reasons."""


class DescriptionError(GaitfarmError):
    """A model description that cannot be built: every fault, each with the name of the part."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n  ".join(("the model's description cannot be built:", *self.faults)))

    def __reduce__(self) -> tuple[type[DescriptionError], tuple[tuple[str, ...]]]:
        return type(self), (self.faults,)  # errors travel between processes; the default would pass the message


class SimulationDiverged(GaitfarmError):
    """The integration left the realm of the physical; carries time, cause and coordinate."""

    def __init__(self, cause: str, *, time_s: float, coordinate: str | None = None) -> None:
        self.cause = cause
        self.time_s = time_s
        self.coordinate = coordinate
        where = f" in {coordinate}" if coordinate else ""
        super().__init__(f"simulation diverged at {time_s:.3f} s{where}: {cause}")
