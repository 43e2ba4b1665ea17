"""What every export promises: the same bytes again, going on where it was killed, and nobody else's files touched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from farm.dataset.pull_choice import Wish
from farm.dataset.reader import GaitDataset
from farm.errors import CampaignError, FormatError, StateMismatchError, StorageError, UserError
from farm.export.croissant import CroissantFolder
from farm.export.formats import Format
from farm.export.huggingface import HuggingFaceFolder
from farm.export.opensim import OpenSimFolders
from farm.export.run import Estimate, export
from farm.export.webdataset import WebDatasetTars
from farm.storage import Storage, open_storage
from tests.datasets import make_dataset, swap_first_and_last
from tests.samples import make_campaign

FORMS: dict[str, Format] = {
    "webdataset": WebDatasetTars(gaits_per_file=2),
    "huggingface": HuggingFaceFolder(gaits_per_file=2),
    "opensim": OpenSimFolders(),
    "croissant": CroissantFolder(),
}


def digests(folder: str | Path) -> dict[str, str]:
    root = Path(folder)
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


class Dying:
    """Storage that fails for good after so many writes, as a killed process does."""

    def __init__(self, inner: Storage, writes: int) -> None:
        self._inner, self._left = inner, writes

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def put(self, key: str, data: bytes) -> None:
        if self._left == 0:
            raise StorageError("killed")
        self._left -= 1
        self._inner.put(key, data)


@pytest.mark.parametrize("name", FORMS)
def test_same_dataset_gives_same_bytes(name: str, dataset: str, tmp_path: Path) -> None:
    before = digests(dataset)
    one = export(FORMS[name], dataset, str(tmp_path / "one"), workers=1)
    two = export(FORMS[name], dataset, str(tmp_path / "two"), workers=3)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert (one.n_gaits, two.n_gaits, one.n_pieces_before) == (7, 7, 0)
    assert one.n_objects == len(digests(tmp_path / "one"))
    assert digests(dataset) == before


@pytest.mark.parametrize("name", FORMS)
def test_killed_export_goes_on_to_the_same_files(name: str, dataset: str, tmp_path: Path) -> None:
    export(FORMS[name], dataset, str(tmp_path / "whole"))
    whole = digests(tmp_path / "whole")
    for writes in range(0, len(whole) - 1, max(1, len(whole) // 2)):
        place = tmp_path / f"killed{writes}"
        with pytest.raises(StorageError, match="killed"):
            export(FORMS[name], dataset, Dying(open_storage(str(place)), writes))  # type: ignore[arg-type]
        assert digests(place) != whole
        export(FORMS[name], dataset, str(place))
        assert digests(place) == whole


def test_what_is_there_is_not_written_again(dataset: str, tmp_path: Path) -> None:
    form = WebDatasetTars(gaits_per_file=1)
    export(form, dataset, str(tmp_path / "out"))
    (tmp_path / "out" / "gaits-000003.tar").unlink()
    told: list[Estimate] = []
    written: list[tuple[int, int]] = []
    again = export(form, dataset, str(tmp_path / "out"), planned=told.append, progress=lambda *n: written.append(n))
    assert (again.n_pieces, again.n_pieces_before) == (7, 6)
    assert (told[0].n_gaits, told[0].n_pieces, told[0].n_pieces_before) == (1, 1, 6)
    assert written == [(1, (tmp_path / "out" / "gaits-000003.tar").stat().st_size)]
    assert told[0].n_bytes == pytest.approx(written[0][1], rel=0.5)


def test_export_is_of_the_shards_that_it_began_with(tmp_path: Path) -> None:
    """A dataset that grows while its export is interrupted does not give a mixture."""
    campaign = make_campaign(samples=8, gaits_per_shard=2)
    source, form = str(tmp_path / "set"), WebDatasetTars(gaits_per_file=2)
    make_dataset(source, campaign, shards=[0, 2])
    export(form, source, str(tmp_path / "whole"))
    with pytest.raises(StorageError, match="killed"):
        export(form, source, Dying(open_storage(str(tmp_path / "out")), 1))  # type: ignore[arg-type]
    make_dataset(source, campaign, shards=[1, 3])
    export(form, source, str(tmp_path / "out"))
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert export(form, source, str(tmp_path / "new")).n_gaits == 8
    (tmp_path / "set" / "commits" / "00000002.json").unlink()
    with pytest.raises(StateMismatchError, match="no longer holds the shards"):
        export(form, source, str(tmp_path / "out"))


def test_wish_chooses_as_a_pull_does(dataset: str, tmp_path: Path) -> None:
    from farm.dataset.pull import pull

    wish = Wish(where="sample_id <> 3", count=3, seed=5, views=("side",), fields=("keypoints_2d", "video"))
    export(OpenSimFolders(), dataset, str(tmp_path / "out"), Wish(where=wish.where, count=3, seed=5))
    pull(dataset, str(tmp_path / "pulled"), where=wish.where, count=3, seed=5)
    ids = sorted(row["sample_id"] for row in GaitDataset(str(tmp_path / "pulled")).index(None, ["sample_id"]))
    assert sorted(int(path.name) for path in (tmp_path / "out").iterdir() if path.is_dir()) == ids
    note = json.loads((tmp_path / "out" / "export.json").read_bytes())
    assert (note["order"]["count"], note["n_gaits"], len(ids)) == (3, 3, 3)


def test_pulled_dataset_is_exported_like_any_other(dataset: str, tmp_path: Path) -> None:
    from farm.dataset.pull import pull

    pull(dataset, str(tmp_path / "part"), where="sample_id < 4", views=["side"], fields=["keypoints_2d"])
    report = export(WebDatasetTars(), str(tmp_path / "part"), str(tmp_path / "out"))
    assert report.n_gaits == 4


def test_foreign_folders_and_other_exports_are_refused(dataset: str, tmp_path: Path) -> None:
    form = WebDatasetTars()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(CampaignError, match=r"not empty \(thesis\.txt\).*another --out"):
        export(form, dataset, str(tmp_path / "mine"))
    export(form, dataset, str(tmp_path / "out"))
    for other, wish, name in (
        (CroissantFolder(), Wish(), "format"),
        (WebDatasetTars(prefix="other"), Wish(), "options"),
        (form, Wish(where="sample_id = 1"), "where"),
        (form, Wish(views=("side",)), "views"),
    ):
        before = digests(tmp_path / "out")
        with pytest.raises(CampaignError, match=f"another export: {name} is"):
            export(other, dataset, str(tmp_path / "out"), wish)
        assert digests(tmp_path / "out") == before
    with pytest.raises(UserError, match="lies in the dataset"):
        export(form, dataset, f"{dataset}/exports")
    with pytest.raises(UserError, match="lies in the dataset"):
        export(form, dataset, dataset)


@pytest.mark.parametrize(
    ("text", "match"), [("{", "damaged"), ('{"export_version": 2}', "newer gaitfarm"), ("[]", "damaged")]
)
def test_damaged_note_is_refused(text: str, match: str, dataset: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "export.json").write_text(text)
    with pytest.raises(FormatError, match=f"{match}.*choose another --out"):
        export(WebDatasetTars(), dataset, str(tmp_path / "out"))
    assert digests(tmp_path / "out").keys() == {"export.json"}


def test_wishes_that_cannot_be_met_leave_nothing_behind(dataset: str, tmp_path: Path) -> None:
    for wish, match in (
        (Wish(where="gait_speed > 99"), "no gait fulfils --where"),
        (Wish(where="gait_sped > 1"), "did you mean 'gait_speed'"),
        (Wish(views=("top",)), "no view 'top'"),
        (Wish(fields=("keypoints_2",)), "did you mean 'keypoints_2d'"),
    ):
        with pytest.raises(UserError, match=match):
            export(WebDatasetTars(), dataset, str(tmp_path / "out"), wish)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FORMS)
def test_a_catalogue_that_swaps_two_gaits_is_refused(name: str, tmp_path: Path) -> None:
    make_dataset(str(tmp_path / "set"), make_campaign(samples=4, gaits_per_shard=4))
    swap_first_and_last(tmp_path / "set")
    with pytest.raises(FormatError, match="is sample 0 by the catalogue and 3 by its commit"):
        export(FORMS[name], str(tmp_path / "set"), str(tmp_path / "out"), Wish(where="sample_id = 0"))
