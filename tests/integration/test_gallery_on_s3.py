"""`gaitfarm gallery` of a dataset in a bucket, on a real S3 server: the same files as of one in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.storage import open_storage
from tests.integration.conftest import S3Root
from tests.norm_dataset import norm_campaign, norm_sample, write_norm_dataset

pytestmark = pytest.mark.s3


def test_a_bucket_has_the_gallery_of_a_folder(s3_root: S3Root, tmp_path: Path) -> None:
    campaign = norm_campaign(samples=2, views=("side",), mask=True)
    walkers = [norm_sample(campaign, number, speed_m_s=1.2) for number in range(2)]
    write_norm_dataset(open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url), campaign, walkers)
    write_norm_dataset(open_storage(str(tmp_path / "set")), campaign, walkers)
    made = {}
    for name, where in (
        ("bucket", [s3_root.uri, "--endpoint-url", s3_root.endpoint_url]),
        ("folder", [str(tmp_path / "set")]),
    ):
        out = tmp_path / name
        done = CliRunner().invoke(app, ["gallery", *where, "--out", str(out), "--by", "condition", "--json"])
        assert done.exit_code == 0, done.output
        made[name] = json.loads(done.stdout)
        assert all((out / file).is_file() for file in (*made[name]["pages"], made[name]["front"]))
    assert made["bucket"] | {"folder": ""} == made["folder"] | {"folder": ""}
    for kind in ("pages", "films", "strips", "sheets"):
        for file in made["bucket"][kind]:
            assert (tmp_path / "bucket" / file).read_bytes() == (tmp_path / "folder" / file).read_bytes(), file
    assert s3_root.uri in (tmp_path / "bucket" / "index.html").read_text("utf-8")
