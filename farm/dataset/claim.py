"""One writer at a time, where the store cannot keep racing writers apart.

Commits rest on put-if-absent. Where a probe shows that a store has it not, or
not under a race, whoever writes takes the writer's claim first: an election that
needs nothing but objects and listings, after Lamport's bakery (CACM 17, 1974).
Each driver puts a claim under a name of its own, and only then lists: of two
drivers at least one sees the other, and who sees a live claim does not begin.

A claim carries a counter that its driver keeps counting. Alive is what *we* see
counting, over an interval of our own monotonic clock: no two clocks are ever
compared. A claim that stands still for `Pace.patience_s` is buried, by a
tombstone that its driver and workers look for before each write: one that was
only asleep finds out that it has lost its claim, and stops.

What this rests on, and what can still happen, stands in docs/storage.md.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from farm.errors import AlreadyExistsError, ObjectNotFoundError, StorageError
from farm.storage import Probe, Storage, StoredObject, Unfinished

CLAIMS = "claims/"
"""Where claims and tombstones lie; no part of the dataset."""

MAX_CLAIM_BYTES = 4096

TOMBSTONES_KEPT_S = 7 * 86400.0
"""A driver that slept longer than a week finds no tombstone; its workers died with its Ray long before."""

BELIEVED_S = 5.0
"""How long an object of an attempt's own (`put`), or removing one, takes a claim for standing; a record (`put_once`)
always looks."""

READ_BACK_ATTEMPTS = 5

RELEASE_LIMIT_S = 30.0
"""How long the counting thread may take to end: it may be in a request that hangs."""


@dataclass(frozen=True)
class Pace:
    """Seconds of the election.

    Attributes:
        beat_s: How often a driver counts on.
        patience_s: How long a claim may stand still before it is buried: twelve missed beats.
        settle_s: What a listing, or a record that racers wrote, is given to show everybody the same.
    """

    beat_s: float = 10.0
    patience_s: float = 120.0
    settle_s: float = 2.0


class _Card(BaseModel):
    """What a claim holds. `holding` is set once its driver has seen nobody else."""

    model_config = ConfigDict(frozen=True)

    host: str = Field(pattern=r"^[A-Za-z0-9._-]{1,255}$")
    pid: int = Field(ge=0)
    beat: int = Field(ge=0)
    holding: bool


@contextlib.contextmanager
def writing(
    storage: Storage, probed: Probe, *, say: Callable[[str], None], pace: Pace | None = None
) -> Iterator[Storage]:
    """The storage to write a dataset through: as it is where put-if-absent holds, else under the writer's claim.

    Args:
        storage: The dataset's root.
        probed: What `storage.probe()` showed just now.
        say: Tells the user that the run holds, or waits for, the claim.
        pace: None takes the defaults; tests are less patient.

    Raises:
        StorageError: Another driver is at work there, or the storage fails.
    """
    if probed.put_if_absent and not _living(storage):
        yield storage
        return
    claim = _Claim(storage, pace or Pace())
    try:
        claim.take(say)
        say(f"this run holds the writer's claim {claim.key}: {probed.detail}")
        yield ClaimedStorage(storage, claim.driver_id, claim.pace.settle_s)
    finally:
        claim.release()


class ClaimedStorage:
    """A storage whose writes look first whether the claim still stands, and whose `put_once` reads and reads back.

    Travels to the workers. `farm.storage.contract.Storage` says what each method promises; what `put_once`
    promises here is less: of writers who do not race one wins, and who lost a race takes the winner's object,
    unless the winning write arrives later than `settle_s` after ours.
    """

    def __init__(self, inner: Storage, driver_id: str, settle_s: float) -> None:
        """Guard `inner` by the claim of the driver with this id."""
        self._inner = inner
        self._driver_id = driver_id
        self._settle_s = settle_s
        self._buried = False
        self._looked_s = -BELIEVED_S

    def __reduce__(self) -> tuple[type[ClaimedStorage], tuple[Storage, str, float]]:
        return type(self), (self._inner, self._driver_id, self._settle_s)  # monotonic times mean nothing elsewhere

    def __repr__(self) -> str:
        return f"ClaimedStorage({self._inner!r}, {self._driver_id!r})"

    @property
    def uri(self) -> str:
        return self._inner.uri

    @property
    def retries(self) -> int:
        """How often requests were tried again; 0 for storage that does not count that."""
        return int(getattr(self._inner, "retries", 0))

    def get(self, key: str) -> bytes:
        return self._inner.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._inner.get_range(key, start, length)

    def put(self, key: str, data: bytes) -> None:
        self._still_claimed(believed_s=BELIEVED_S)
        self._inner.put(key, data)

    def put_once(self, key: str, data: bytes) -> None:
        self._still_claimed()
        found = self._find(key)
        if found is None:
            self._inner.put_once(key, data)
            found = self._settled(key)
        if found != data:
            raise AlreadyExistsError(f"{self.uri}/{key} exists already with other content; it was left as it is")

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        return self._inner.list(prefix)

    def size(self, key: str) -> int:
        return self._inner.size(key)

    def delete(self, key: str) -> None:
        self._still_claimed(believed_s=BELIEVED_S)
        self._inner.delete(key)

    def now_s(self) -> float:
        return self._inner.now_s()

    def unfinished(self) -> Sequence[Unfinished]:
        return self._inner.unfinished()

    def discard(self, item: Unfinished) -> None:
        self._inner.discard(item)

    def probe(self) -> Probe:
        return self._inner.probe()

    def _find(self, key: str) -> bytes | None:
        try:
            return self._inner.get(key)
        except ObjectNotFoundError:
            return None

    def _settled(self, key: str) -> bytes:
        """What stands under `key` once every write that raced with ours has arrived or is late indeed."""
        for _ in range(READ_BACK_ATTEMPTS):
            time.sleep(self._settle_s)
            found = self._find(key)
            if found is not None:
                return found
        raise StorageError(f"{self.uri}/{key} was written and cannot be read back; is something deleting there?")

    def _still_claimed(self, believed_s: float = 0.0) -> None:
        """Raise StorageError if the claim is buried; what was seen `believed_s` ago or later is not looked at again."""
        now_s = time.monotonic()
        if not self._buried and now_s - self._looked_s >= believed_s:
            self._buried, self._looked_s = _is_buried(self._inner, self._driver_id), now_s
        if self._buried:
            raise StorageError(
                f"{self.uri}: this run's writer's claim was taken away, because it had stood still for too long "
                "(was the machine asleep or cut off?); another run may be writing now. Run the command again: "
                "what is committed stays"
            )


class _Claim:
    """A driver's claim: taken, kept by a thread that counts, and released."""

    def __init__(self, storage: Storage, pace: Pace) -> None:
        self.driver_id = uuid.uuid4().hex
        self.key = _claim_key(self.driver_id)
        self.pace = pace
        self._storage = storage
        self._beat = 0
        self._holding = False
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._heart = threading.Thread(target=self._live, name="gaitfarm-claim", daemon=True)

    def take(self, say: Callable[[str], None]) -> None:
        """Wait until nobody else is there.

        Raises:
            StorageError: A living driver holds the claim, or wants it and has the better number.
        """
        self._put()
        self._heart.start()
        time.sleep(self.pace.settle_s)
        others = self._others()
        if others:
            say(
                f"{self._storage.uri}: the writer's claim of {_who(others)} lies there; watching for up to "
                f"{self.pace.patience_s:.0f} s whether it is alive"
            )
        watched = {driver_id: (body, time.monotonic()) for driver_id, body in others.items()}
        while others:
            for driver_id, body in sorted(others.items()):
                self._judge(driver_id, body, watched)
            time.sleep(min(1.0, self.pace.beat_s / 4))
            # Who was not in our first listing came after us, will see us, and is no concern of ours: else drivers
            # that try again and again would keep each other from ever beginning.
            others = {driver_id: body for driver_id, body in self._others().items() if driver_id in watched}
        with self._lock:
            self._holding = True
        self._put()
        self._sweep_tombstones()

    def release(self) -> None:
        """Give the claim back. Storage that fails now leaves it to be buried by the next driver."""
        self._released.set()
        if self._heart.is_alive():
            self._heart.join(timeout=RELEASE_LIMIT_S)
        with contextlib.suppress(StorageError):
            self._storage.delete(self.key)

    def _others(self) -> dict[str, bytes]:
        return {driver_id: body for driver_id, body in _living(self._storage).items() if driver_id != self.driver_id}

    def _judge(self, driver_id: str, body: bytes, watched: dict[str, tuple[bytes, float]]) -> None:
        """Defer to a living claim that has precedence; bury one that has stood still for too long."""
        now_s = time.monotonic()
        seen, since_s = watched[driver_id]
        if seen != body:
            card = _read_card(body)
            if card is None or card.holding or driver_id < self.driver_id:
                raise StorageError(
                    f"{self._storage.uri}: another run ({_named(card)}) is writing there, and this store cannot keep "
                    "two writers apart; wait for it to end, or stop it (Ctrl-C there) and run this command again"
                )
            watched[driver_id] = (body, now_s)  # it will see us and withdraw, or turn out to hold already
        elif now_s - since_s > self.pace.patience_s:
            self._bury(driver_id)

    def _bury(self, driver_id: str) -> None:
        """The tombstone first: a driver that wakes between the two puts its claim back, and must find the other."""
        self._storage.put(_tombstone_key(driver_id), b"buried\n")
        self._storage.delete(_claim_key(driver_id))

    def _live(self) -> None:
        """Count on, until released or replaced; a store that fails for a while only makes us look asleep."""
        while not self._released.wait(self.pace.beat_s):
            with contextlib.suppress(StorageError):
                if _is_buried(self._storage, self.driver_id):
                    return
                if self._has_senior_rival():
                    self._bury(self.driver_id)
                    return
                self._put()

    def _has_senior_rival(self) -> bool:
        """Whether two hold the claim, which a listing that lags may bring about: then the smaller number keeps it."""
        if not self._holding:
            return False
        cards = {driver_id: _read_card(body) for driver_id, body in _living(self._storage).items()}
        return any(
            driver_id < self.driver_id and card is not None and card.holding for driver_id, card in cards.items()
        )

    def _put(self) -> None:
        with self._lock:
            self._beat += 1
            card = _Card(host=socket.gethostname(), pid=os.getpid(), beat=self._beat, holding=self._holding)
            self._storage.put(self.key, card.model_dump_json().encode())

    def _sweep_tombstones(self) -> None:
        old = [item for item in self._storage.list(CLAIMS) if item.key.endswith(_TOMBSTONE)]
        if not old:
            return
        now_s = self._storage.now_s()
        for item in old:
            if now_s - item.modified_s > TOMBSTONES_KEPT_S:
                self._storage.delete(item.key)


_CLAIM, _TOMBSTONE = ".json", ".buried"


def _claim_key(driver_id: str) -> str:
    return f"{CLAIMS}{driver_id}{_CLAIM}"


def _tombstone_key(driver_id: str) -> str:
    return f"{CLAIMS}{driver_id}{_TOMBSTONE}"


def _is_buried(storage: Storage, driver_id: str) -> bool:
    try:
        storage.get_range(_tombstone_key(driver_id), 0, 1)
    except ObjectNotFoundError:
        return False
    return True


def _living(storage: Storage) -> dict[str, bytes]:
    """Claims that nobody has buried, by driver. Whether their drivers live is another question."""
    names = {item.key.removeprefix(CLAIMS) for item in storage.list(CLAIMS)}
    drivers = sorted(name.removesuffix(_CLAIM) for name in names if re.fullmatch(rf"[0-9a-f]{{32}}\{_CLAIM}", name))
    found: dict[str, bytes] = {}
    for driver_id in drivers:
        if f"{driver_id}{_TOMBSTONE}" not in names:
            with contextlib.suppress(ObjectNotFoundError):  # released while we looked
                found[driver_id] = storage.get_range(_claim_key(driver_id), 0, MAX_CLAIM_BYTES)
    return found


def _read_card(body: bytes) -> _Card | None:
    """None for bytes that are no claim of this version."""
    try:
        return _Card.model_validate_json(body)
    except ValidationError:
        return None


def _named(card: _Card | None) -> str:
    return f"pid {card.pid} on host {card.host}" if card else "of an unknown host"


def _who(claims: dict[str, bytes]) -> str:
    return " and ".join(_named(_read_card(body)) for _, body in sorted(claims.items()))
