"""One search under way: its searcher, its diary, its tasks in flight, and the checkpoint that outlives the process.

After every generation and every verdict of OpenSim the checkpoint is replaced whole. What was in flight when the
process died is asked again, and the answers are the same.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from farm.errors import CampaignError
from farm.search import checkpoint
from farm.search.candidates import Candidate, Finalist, Outcome, Searcher, State
from farm.search.diary import Diary, Verdict, from_state, to_state
from farm.search.job import Job
from farm.search.person import heads
from farm.search.searchers import begun, searcher_from_state
from farm.search.start import best_file, best_gains
from farm.search.trial_log import note_trials, trial_log
from workers.search.tasks import Answer, ConfirmKey, Tasks, TrialKey


class Stage(Enum):
    """How far a search is."""

    BLOCKED = "waits for its start"
    SEARCHING = "searching"
    CONFIRMING = "confirming"
    DONE = "done"
    FAILED = "failed"


class SearchRun:
    """One search of a job file.

    Args:
        name: Of the search.
        folder: Where checkpoints are.
    """

    def __init__(self, name: str, job: Job, folder: Path) -> None:
        self.name = name
        self.job = job
        self.fault = ""
        self.diary = Diary()
        self.stage = Stage.BLOCKED
        self.trials = 0
        self._folder = folder
        self._searcher: Searcher | None = None
        self._state = State({})
        self._asked: list[Candidate] = []
        self._outcomes: dict[int, Outcome] = {}

    def take_up(self) -> None:
        """Go on from the checkpoint, if there is one.

        Raises:
            CampaignError: The checkpoint belongs to a search that was ordered otherwise.
            FormatError: It is damaged.
        """
        if not self._checkpoint.is_file():
            return
        job, self._state, self.diary = from_state(checkpoint.load(self._checkpoint))
        mine = self._plain_job()
        if job != mine:
            changed = sorted(key for key in {*job, *mine} if job.get(key) != mine.get(key))
            raise CampaignError(
                f"{self.name}: {self._checkpoint} was begun with another {', '.join(changed)}; "
                "take another --out, or remove that file to begin anew"
            )
        self._searcher = searcher_from_state(self.job, self._state)
        self._settle()

    def begin(self, tasks: Tasks) -> None:
        """Start from the job's own start, or let OpenSim go on with what is still to be confirmed.

        Raises:
            CampaignError: There is no such start.
        """
        if self._searcher is None:
            self._searcher = begun(self.name, self.job, self._folder)
            self._state = self._searcher.state()
        self._settle()
        for number, person in self.diary.pending(heads(self.job)):
            self._confirm(tasks, self.diary.finalists[number], person)

    @property
    def ended(self) -> bool:
        return self.stage in (Stage.DONE, Stage.FAILED)

    @property
    def idle(self) -> bool:
        """Whether a next generation can be tried."""
        return self.stage is Stage.SEARCHING and not self._asked

    @property
    def share(self) -> float:
        """How much of the search is done, 0 to 1."""
        return 1.0 if self.ended else self._searcher.share if self._searcher else 0.0

    @property
    def standing(self) -> str:
        """Where the search is, in a few words."""
        if self.stage is Stage.SEARCHING and self._searcher is not None:
            return self._searcher.standing
        return self.fault or self.stage.value

    def try_generation(self, tasks: Tasks) -> None:
        """Send the next candidates out."""
        if self._searcher is None:
            raise ValueError("begin comes before try_generation")
        self._asked = self._searcher.ask()
        for number, candidate in enumerate(self._asked):
            tasks.trial(TrialKey(self.name, number), self.job, candidate)

    def hear(self, answer: Answer, tasks: Tasks) -> Verdict | None:
        """An answer to a task of this search; gives back OpenSim's verdict if it is one."""
        if self.ended:
            return None  # of a search that was given up meanwhile
        if isinstance(answer.key, ConfirmKey):
            return self._judged(answer.key, answer)
        if answer.fault:
            self.give_up(answer.fault)
        else:
            self._tried(answer.key, answer.value, tasks)
        return None

    def give_up(self, why: str) -> None:
        """End the search for a reason."""
        self.stage, self.fault = Stage.FAILED, why

    def _judged(self, key: ConfirmKey, answer: Answer) -> Verdict:
        verdict = Verdict(key.finalist, key.person, None, answer.fault) if answer.fault else answer.value
        self.diary.verdicts[key.finalist, key.person] = verdict
        self._settle()
        self._save()
        return verdict

    def _tried(self, key: TrialKey, outcome: Outcome, tasks: Tasks) -> None:
        if self._searcher is None:
            raise ValueError("begin comes before hear")
        self._outcomes[key.number] = outcome
        self.trials += 1
        if len(self._outcomes) < len(self._asked):
            return
        outcomes = [self._outcomes[number] for number in range(len(self._asked))]
        note_trials(trial_log(self._folder, self.name), self._asked, outcomes)
        found = self._searcher.tell(outcomes)
        self._state = self._searcher.state()
        self.diary.note(outcomes, self._searcher.covered)
        self.diary.finalists |= {finalist.number: finalist for finalist in found}
        self._asked, self._outcomes = [], {}
        self._settle()
        self._save()
        for finalist in found:
            for person in range(heads(self.job)):
                self._confirm(tasks, finalist, person)

    def _confirm(self, tasks: Tasks, finalist: Finalist, person: int) -> None:
        tasks.confirmation(ConfirmKey(self.name, finalist.number, person), self.job, finalist)

    def _settle(self) -> None:
        """What stage this is by what is known."""
        if self._searcher is None or self.stage is Stage.FAILED:
            return
        if not self._searcher.done:
            self.stage = Stage.SEARCHING
        elif self.diary.pending(heads(self.job)):
            self.stage = Stage.CONFIRMING
        else:
            self.stage = Stage.DONE
            best = self.diary.best()
            if best is None:
                self.fault = "found no walker" if not self.diary.finalists else "OpenSim turned down all that it found"
            else:
                checkpoint.write_whole(best_file(self._folder, self.name), best_gains(self.job, best.candidate.gains))

    @property
    def _checkpoint(self) -> Path:
        return self._folder / f"{self.name}.checkpoint.npz"

    def _plain_job(self) -> dict[str, Any]:
        return self.job.model_dump(mode="json")

    def _save(self) -> None:
        """Not the searcher as it is but as it was last told: a generation on its way is asked again after a crash."""
        checkpoint.save(self._checkpoint, to_state(self._plain_job(), self._state, self.diary))
