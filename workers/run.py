"""The driver's loop: give every idle worker a job, take back what became of it, until the plan is done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from farm.config import Campaign
from farm.errors import GaitfarmError, StorageError, StorageUnavailableError, UserError
from workers.actors import Crew
from workers.autopsy import telling_lines
from workers.daemons import Daemons
from workers.ledger import Ledger, MakeSample, WriteShard
from workers.messages import Failure, Finished, Lost
from workers.outage import Outage, told
from workers.progress import RunProgress
from workers.staging import Made, Written
from workers.stop import StopRequests
from workers.summary import QUARANTINE_CODE

TICK_S = 0.5
"""How long the driver waits for an event before it looks at signals and the clock again."""

QUARANTINES_IN_A_ROW = 10
"""Samples given up with none made in between: then it is not the samples that are broken."""


@dataclass(frozen=True)
class Deadlines:
    """Seconds after which a job that has not answered is taken to hang.

    Attributes:
        sample_s: For one sample, all stages.
        write_s: For a shard's writing, and `write_gait_s` more for each of its gaits.
    """

    sample_s: float
    write_s: float = 120.0
    write_gait_s: float = 20.0

    @classmethod
    def of(cls, campaign: Campaign) -> Deadlines:
        """The integration keeps its own budget; labels and pictures get what a loaded machine needs.

        Mesa's software rasteriser took 0.08 s a picture (256x256, shadows) on two
        cores with a load of 10, once 0.3 s; 0.5 s leaves room above that.
        """
        pictures = campaign.pictures
        n_pictures = campaign.simulation.duration_s * pictures.frame_rate_hz * len(pictures.views)
        size = max(1.0, pictures.image_size[0] * pictures.image_size[1] / 256**2)
        return cls(sample_s=60.0 + 1.25 * campaign.simulation.budget_s + 0.5 * n_pictures * size)

    def of_job(self, job: MakeSample | WriteShard) -> float:
        if isinstance(job, MakeSample):
            return self.sample_s
        return self.write_s + self.write_gait_s * len(job.staged)


class Run:
    """One run over what is left of a plan.

    Attributes:
        accepted, rejected, reasons, bytes_written: Of the shards that were committed.
        shards: Shards committed by this run.
        lost_attempts: Attempts that ended without a result, by cause.
        outage: What is known of the storage's state.
        interrupted: A signal ended the run before the plan's end.
    """

    def __init__(
        self, ledger: Ledger, deadlines: Deadlines, show: RunProgress, *, outage: Outage | None = None
    ) -> None:
        self._ledger = ledger
        self._deadlines = deadlines
        self._show = show
        self.outage = outage or Outage()
        self._quarantined_in_a_row = 0
        self.accepted = 0
        self.rejected = 0
        self.shards = 0
        self.bytes_written = 0
        self.reasons: Counter[str] = Counter()
        self.lost_attempts: Counter[str] = Counter()
        self.quarantined: dict[int, str] = {}
        self.interrupted = False

    def go(self, crew: Crew, stop: StopRequests) -> None:
        """Work until the plan is done, or until a signal says otherwise.

        Raises:
            UserError: Going on makes no sense, and the caller can mend it.
        """
        stopping_said, daemons = False, Daemons()
        while not self._ledger.finished:
            # The signal went to Ray as well, as a container's or a service's end does.
            if stop.asked and daemons.dead():
                self.interrupted = True
                return
            daemons.check()
            if not stop.asked:
                self._hand_out(crew)
            elif stop.at_once or crew.at_work == 0:
                self.interrupted = True
                return
            elif not stopping_said:
                stopping_said = True
                self._show.say(
                    f"stopping: {crew.at_work} jobs in flight may finish; Ctrl-C again stops at once", style="yellow"
                )
            if self._ledger.finished:
                return
            for event in crew.wait(TICK_S):
                self._take(event)
            self._show.show(ready=crew.ready, workers=crew.size)
            crew.left(self._show.left)

    def _hand_out(self, crew: Crew) -> None:
        for hand in crew.idle():
            if not self.outage.lets_try(crew.at_work):
                return
            try:
                job = self._ledger.next_job()
            except StorageError as error:
                self._storage_failed(str(error), lasting=not isinstance(error, StorageUnavailableError))
                return
            self._note_found()
            if job is None:
                return
            crew.give(hand, job, self._deadlines.of_job(job))

    def _note_found(self) -> None:
        """Samples that opening a shard showed to be done already count as done, once."""
        self._show.found_before(self._ledger.found_staged + self._ledger.found_committed)

    def _take(self, event: Finished | Lost) -> None:
        job = event.job
        if isinstance(event, Lost):
            self._lost(job, event)
        elif isinstance(event.result, Failure):
            self._failed(job, event.result)
        elif isinstance(job, MakeSample) and isinstance(event.result, Made):
            self._quarantined_in_a_row = 0
            self._storage_worked()
            self._ledger.made(job, event.result.key)
            self._show.made(event.result)
        elif isinstance(job, WriteShard) and isinstance(event.result, Written):
            self._storage_worked()
            self._ledger.committed(job)
            self._written(event.result)
        else:
            raise GaitfarmError(f"a worker answered {job!r} with {type(event.result).__name__}")

    def _written(self, written: Written) -> None:
        self.shards += 1
        self.accepted += written.n_accepted
        self.rejected += written.n_rejected
        self.bytes_written += written.bytes
        self._show.spent("write", written.seconds)
        self.reasons.update(dict(written.reasons))

    def _lost(self, job: MakeSample | WriteShard, lost: Lost) -> None:
        self.lost_attempts[lost.cause] += 1
        if lost.cause == "storage":
            self._ledger.given_back(job)
            self._storage_failed(lost.detail, lasting=False)
        elif lost.cause == "machine lost":
            self._give_up_if(self._ledger.returned(job, lost.detail), job, lost.cause, lost.detail, lost.log_tail)
        else:
            self._attempt_failed(job, lost.cause, lost.detail, lost.log_tail)

    def _failed(self, job: MakeSample | WriteShard, failure: Failure) -> None:
        if failure.kind == "user":
            raise UserError(failure.message)
        if failure.kind == "error":
            self.lost_attempts["raised"] += 1
            self._attempt_failed(job, "raised", failure.message, failure.detail)
            return
        self.lost_attempts["storage"] += 1
        self._ledger.given_back(job)
        self._storage_failed(failure.message, lasting=failure.lasting)

    def _storage_failed(self, message: str, *, lasting: bool) -> None:
        pause_s = self.outage.failed(message, lasting=lasting)
        if pause_s is not None:
            self._show.say(told(message, pause_s), style="yellow")
        elif lasting:
            self._show.say(message, style="yellow")

    def _storage_worked(self) -> None:
        lasted_s = self.outage.worked()
        if lasted_s is not None:
            self._show.say(f"storage answers again, after {lasted_s:.0f} s")

    def _attempt_failed(self, job: MakeSample | WriteShard, cause: str, detail: str, tail: str) -> None:
        if isinstance(job, MakeSample):
            reason = f"{QUARANTINE_CODE}: {cause}; {job.attempt} attempts, the last: {detail}"
            given_up = self._ledger.failed(job, reason)
        else:
            given_up = self._ledger.write_failed(job, f"{cause}; {detail}")
        self._give_up_if(given_up, job, cause, detail, tail)

    def _give_up_if(self, given_up: bool, job: MakeSample | WriteShard, cause: str, detail: str, tail: str) -> None:
        """Tell what became of a failed attempt; a sample's last one is told with what its worker last wrote."""
        what = f"sample {job.sample_id}" if isinstance(job, MakeSample) else f"writing shard {job.shard_id}"
        if not given_up:
            self._show.say(f"{what} {cause} (attempt {job.attempt}): {detail}; it will be tried again", style="yellow")
            return
        self._show.say(f"{what} {cause} {job.attempt} times and is given up: {detail}", style="red")
        for line in telling_lines(tail):
            self._show.say(f"    {line}", style="dim")
        if isinstance(job, MakeSample):
            self.quarantined[job.sample_id] = f"{cause}; {detail}"
            self._show.given_up()
            self._quarantined_in_a_row += 1
            if self._quarantined_in_a_row >= QUARANTINES_IN_A_ROW:
                raise UserError(
                    f"the last {QUARANTINES_IN_A_ROW} samples all failed three times and none was made in between "
                    f"(the last: {cause}, {detail}); see `gaitfarm doctor`, mend the cause, and run the same "
                    "command again: those samples are not recorded yet unless their shard was whole"
                )
