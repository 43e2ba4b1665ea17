"""The same gaits filmed again: labels of the walks bit for bit, pictures too where the scenes are the same."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import zarr

from farm.config import Campaign
from farm.dataset.create import open_or_create
from farm.dataset.info import info
from farm.dataset.manifest import record_to_json
from farm.dataset.pack import parameter_cells, rejected_gait
from farm.dataset.pull import pull
from farm.dataset.reader import GaitDataset
from farm.dataset.refilm import changes_from, check_is_there, origin_of, refilm_campaign, sources_of
from farm.dataset.schema import find
from farm.dataset.verify import verify
from farm.dataset.writer import encode_shard
from farm.errors import CampaignError, FormatError, UserError
from farm.pipeline import Stages
from farm.planning import plan_of, progress
from farm.records import GaitParameters, Trajectory
from farm.storage import open_storage
from tests.datasets import make_dataset
from tests.filmed_dataset import PEOPLE, filmed_campaign, filmed_sample
from tests.samples import make_campaign, make_samples_for
from workers.ledger import MakeSample, WriteShard
from workers.render.context import gl_context
from workers.render.film import film
from workers.staging import make_and_stage, write_and_commit
from workers.write import commit_shard

pytestmark = pytest.mark.timeout(600)


def _refuse(*_: object, **__: object) -> Trajectory:
    raise AssertionError("a gait that is filmed again is not simulated")


STAGES = Stages(simulate=_refuse, film=film)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> GaitDataset:
    """Two gaits, and one that was turned down; a plain camera, and one that shakes, bends, blurs, rolls, adds noise."""
    campaign = filmed_campaign(64, samples=3, views=("side", "phone"), rgb="lossless")
    campaign = campaign.model_copy(update={"gaits_per_shard": 3})
    storage = open_storage(str(tmp_path_factory.mktemp("refilm") / "source"))
    manifest = open_or_create(storage, campaign, sources={"model_sha256": "a" * 64})
    fallen = rejected_gait(dataclasses.replace(PEOPLE[0], sample_id=2), ("fell",), {"fell": "at 2 s"}, engine="opensim")
    gaits = [filmed_sample(0, campaign), filmed_sample(1, campaign), fallen]
    commit_shard(storage, encode_shard(campaign, manifest.dataset_id, "00000000", gaits))
    return GaitDataset(storage)


def again(source: GaitDataset, out: Path, changes: Mapping[str, Any]) -> GaitDataset:
    """`gaitfarm refilm` of one shard, without Ray."""
    campaign = refilm_campaign(source, changes, told_in="tests")
    storage = open_storage(str(out))
    manifest = open_or_create(storage, campaign, sources=sources_of(source), refilmed_from=origin_of(source))
    (plan,) = plan_of(campaign)
    staged = {
        sample_id: make_and_stage(storage, campaign, MakeSample(plan.shard_id, sample_id, 1), STAGES, source=source).key
        for sample_id in plan.sample_ids
    }
    job = WriteShard(plan.shard_id, staged, {}, 1)
    write_and_commit(storage, campaign, manifest.dataset_id, job, source=source)
    return GaitDataset(storage)


def arrays(dataset: GaitDataset) -> dict[str, np.ndarray]:
    members = dataset.shard("00000000").members(max_depth=None)
    return {path: member[...] for path, member in members if isinstance(member, zarr.Array)}


def test_the_same_scenes_give_the_same_pictures_bit_for_bit(source: GaitDataset, tmp_path: Path) -> None:
    filmed = again(source, tmp_path / "again", {})
    ours, theirs = arrays(filmed), arrays(source)
    assert ours.keys() == theirs.keys()
    assert [
        path for path in ours if not np.array_equal(ours[path], theirs[path], equal_nan=ours[path].dtype.kind == "f")
    ] == []
    record, original = filmed.record("00000000"), source.record("00000000")
    assert record.index == original.index
    assert record.rejected == original.rejected
    report = verify(filmed.storage)
    assert report.sound, report.faults


def test_other_scenes_leave_all_that_is_known_of_the_walk_as_it_is(source: GaitDataset, tmp_path: Path) -> None:
    changes = {"name": "elsewhere", "scene": {"seed": 77}, "pictures": {"frame_rate_hz": 5.0, "views": ["front"]}}
    filmed = again(source, tmp_path / "other", changes)
    ours, theirs = arrays(filmed), arrays(source)
    walks = [
        path for path in theirs if (item := find(path)) and not item.spec.per_view and "frame" not in item.spec.dims
    ]
    for path in set(walks) - {"n_frames"}:
        assert np.array_equal(ours[path], theirs[path], equal_nan=theirs[path].dtype.kind == "f"), path
    assert filmed.manifest.views == ("front",)
    assert filmed.manifest.name == "elsewhere"
    assert filmed.manifest.seed == source.manifest.seed
    for row, original in zip(filmed.index(), source.index(), strict=True):
        assert row["n_frames"] == 21  # 4 s
        assert not {name for name in row if name.startswith(("scene_camera_side", "scene_camera_phone"))}
        assert row["scene_clothes_shirt_r"] != original["scene_clothes_shirt_r"]
        known = {name for name in original if not name.startswith("scene_")} - {"n_frames", "attempt_id"}
        assert {name: row[name] for name in known} == {name: original[name] for name in known}
    report = verify(filmed.storage)
    assert report.sound, report.faults


def test_the_manifest_says_whose_gaits_they_are(source: GaitDataset, tmp_path: Path) -> None:
    campaign = refilm_campaign(source, {}, told_in="tests")
    storage = open_storage(str(tmp_path))
    origin = origin_of(source)
    made = open_or_create(storage, campaign, sources=sources_of(source), refilmed_from=origin)
    assert made.software["model_sha256"] == "a" * 64
    assert (origin.dataset_id, origin.name) == (source.manifest.dataset_id, source.manifest.name)
    assert open_or_create(storage, campaign, sources=sources_of(source), refilmed_from=origin) == made
    with pytest.raises(CampaignError, match=f"gaits of dataset {origin.dataset_id}, filmed again; here .* simulated"):
        open_or_create(storage, campaign, sources=sources_of(source))
    with pytest.raises(CampaignError, match=r"gaits that were simulated; here .* filmed again: choose another place"):
        open_or_create(source.storage, campaign, sources=sources_of(source), refilmed_from=origin)


def test_parameters_come_back_from_their_cells_to_the_last_bit() -> None:
    campaign = make_campaign(samples=3)
    for sample in make_samples_for(campaign, range(3)):
        cells = parameter_cells(sample.parameters)
        back = GaitParameters.from_cells(sample.parameters.sample_id, sample.parameters.body_model, cells)
        assert back.table() == sample.parameters.table()
        assert parameter_cells(back) == cells
        for name in ("sex", "stature_m", "strength_soleus_l"):
            with pytest.raises(ValueError, match=name):
                GaitParameters.from_cells(0, "planar", {key: value for key, value in cells.items() if key != name})
        newer = ("leg_length_difference_m", "stretch_reflex_")
        older = {key: value for key, value in cells.items() if not key.startswith(newer)}
        assert GaitParameters.from_cells(0, "planar", older).table() == sample.parameters.table()


def test_what_drew_the_pictures_is_told_and_checked(source: GaitDataset, tmp_path: Path) -> None:
    name = gl_context().name
    assert info(source.storage)["renderers"] == {name: 2}
    assert source.attributes("00000000")["renderers"] == [name]
    shutil.copytree(str(source.storage.uri).removeprefix("file://"), tmp_path / "forged")
    record = source.record("00000000")
    forged = record.model_copy(update={"index": ({**record.index[0], "renderer": "a painter"}, *record.index[1:])})
    (tmp_path / "forged" / "commits" / "00000000.json").write_bytes(record_to_json(forged))
    faults = [fault.what for fault in verify(open_storage(str(tmp_path / "forged"))).faults]
    assert any("attribute renderers is" in what and "'a painter'" in what for what in faults), faults


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"samples": 9}, "samples is '9', but .* have '3'; leave it out"),
        ({"population": {"sex": "male"}}, "population .* leave it out"),
        ({"scene": {"place": {"kinds": ["beach"]}}}, "scene.place.kinds"),
        ({"picturs": {}}, "unknown key 'picturs'; did you mean 'pictures'"),
    ],
)
def test_changes_of_the_gaits_are_refused(source: GaitDataset, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(CampaignError, match=named):
        refilm_campaign(source, changes, told_in="mine.yaml")


def test_what_the_source_says_itself_may_be_said_again(source: GaitDataset, tmp_path: Path) -> None:
    text = "name: mine\nseed: 3\nsamples: 3\nscene: {vary: [place]}\npictures: {crf: 20}\n"
    (tmp_path / "mine.yaml").write_text(text, "utf-8")
    changes, told_in = changes_from(str(tmp_path / "mine.yaml"), scene_seed=5)
    campaign = refilm_campaign(source, changes, told_in=told_in)
    assert (campaign.scene.seed, campaign.scene.vary, campaign.pictures.crf) == (5, ("place",), 20)
    assert campaign.pictures.image_size == (64, 64)
    assert [view.name for view in campaign.pictures.views] == ["side", "phone"]


def test_a_pulled_an_unfinished_and_a_damaged_source_are_refused(source: GaitDataset, tmp_path: Path) -> None:
    pull(source.storage.uri, str(tmp_path / "part"), where="sample_id = 1")
    with pytest.raises(UserError, match=r"part that was pulled of dataset .* film that dataset again"):
        refilm_campaign(GaitDataset(str(tmp_path / "part")), {}, told_in="tests")
    half = make_campaign(samples=8, gaits_per_shard=2)
    make_dataset(str(tmp_path / "half"), half, shards=[0, 2])
    plan = plan_of(half)
    check_is_there(GaitDataset(str(tmp_path / "half")), progress(plan, ["00000001", "00000003"]))
    with pytest.raises(UserError, match=r"does not have 2 of the shards .* such as 00000001; finish it first"):
        check_is_there(GaitDataset(str(tmp_path / "half")), progress(plan, []))
    shutil.copytree(str(source.storage.uri).removeprefix("file://"), tmp_path / "hurt")
    hurt = GaitDataset(str(tmp_path / "hurt"))
    record = hurt.record("00000000")
    rows = ({name: value for name, value in record.index[0].items() if name != "mass_kg"}, *record.index[1:])
    forged = record.model_copy(update={"index": rows})
    (tmp_path / "hurt" / "commits" / "00000000.json").write_bytes(record_to_json(forged))
    with pytest.raises(FormatError, match="sample 0: there is no 'mass_kg'; run `gaitfarm verify`"):
        again(GaitDataset(str(tmp_path / "hurt")), tmp_path / "new", {})


def test_a_dataset_without_pictures_can_be_given_some(tmp_path: Path) -> None:
    campaign: Campaign = filmed_campaign(64, 2.0, views=("front",), rgb="none", mask=False, depth=False)
    storage = open_storage(str(tmp_path / "bare"))
    manifest = open_or_create(storage, campaign)
    shard = encode_shard(campaign, manifest.dataset_id, "00000000", [filmed_sample(0, campaign)])
    commit_shard(storage, shard)
    filmed = again(GaitDataset(storage), tmp_path / "seen", {"pictures": {"rgb": "video", "mask": True}})
    pictures = filmed.frames(0, "front")
    assert pictures.shape == (9, 64, 64, 3)
    assert pictures.std() > 5


def test_aids_and_clothes_can_be_switched_on_and_off_again(source: GaitDataset, tmp_path: Path) -> None:
    """Other pictures of the same walks, told in the index; and back, bit for bit."""
    share = [{"condition": "healthy", "share": 1.0}]
    aids = {"kinds": ["ankle_orthosis", "cane"], "ankle_orthosis": share, "cane": share}
    plain = {"scene": {"aids": {"kinds": []}, "people": {"lower": ["long_trousers"], "coat_share": 0.0}}}
    bare = again(source, tmp_path / "bare", plain)
    dressed = again(bare, tmp_path / "dressed", {"scene": {"aids": aids, "people": {"lower": ["skirt"]}}})
    back = again(dressed, tmp_path / "back", plain)
    for row, other in zip(bare.index(), dressed.index(), strict=True):
        assert (row["scene_aids_orthosis"], row["scene_aids_cane"]) == ("none", "none")
        assert other["scene_aids_orthosis"] != "none"
        assert other["scene_aids_cane"] != "none"
        assert (row["scene_clothes_lower_kind"], other["scene_clothes_lower_kind"]) == ("long_trousers", "skirt")
    first, second, third = arrays(bare), arrays(dressed), arrays(back)
    for path, values in first.items():
        with_gaps = values.dtype.kind == "f"
        assert np.array_equal(values, third[path], equal_nan=with_gaps), path
        if path.endswith(("rgb", "mask", "depth")):
            assert not np.array_equal(values, second[path]), path
        elif "/" not in path:
            assert np.array_equal(values, second[path], equal_nan=with_gaps), path


def test_what_a_dataset_of_old_does_not_tell_is_filmed_as_it_was(source: GaitDataset) -> None:
    old = copy.deepcopy(source.manifest.campaign)
    del old["scene"]["aids"], old["scene"]["people"]["coat_share"], old["pictures"]["person_crf_offset"]
    elder = SimpleNamespace(storage=source.storage, manifest=source.manifest.model_copy(update={"campaign": old}))
    again = refilm_campaign(cast(GaitDataset, elder), {}, told_in="tests")
    assert again.scene.aids.kinds == ()
    assert again.scene.people.coat_share == 0.0
    assert again.pictures.person_crf_offset == 0
    changed = refilm_campaign(cast(GaitDataset, elder), {"scene": {"people": {"coat_share": 0.5}}}, told_in="tests")
    assert (changed.scene.people.coat_share, changed.scene.aids.kinds) == (0.5, ())
