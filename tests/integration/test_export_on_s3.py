"""Exports from and to a real S3 server, and bad input that must leave a bucket as it was."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.dataset.pull_choice import Wish
from farm.export.run import export
from farm.export.webdataset import WebDatasetTars
from farm.storage import Storage, open_storage
from tests.datasets import make_dataset
from tests.integration.conftest import S3Root
from tests.samples import make_campaign

pytestmark = pytest.mark.s3

CAMPAIGN = make_campaign(samples=4, gaits_per_shard=2, views=("side",), image_size=(34, 32))


def listing(storage: Storage) -> dict[str, str]:
    return {item.key: hashlib.sha256(storage.get(item.key)).hexdigest() for item in storage.list()}


def test_bucket_to_bucket_is_what_folder_to_folder_is(s3_root: S3Root, tmp_path: Path) -> None:
    wish = Wish(fields=("coordinates", "video"))
    make_dataset(open_storage(f"{s3_root.uri}/set", endpoint_url=s3_root.endpoint_url), CAMPAIGN)
    form = WebDatasetTars(gaits_per_file=2)
    there = {"endpoint_url": s3_root.endpoint_url, "destination_endpoint_url": s3_root.endpoint_url}
    report = export(form, f"{s3_root.uri}/set", f"{s3_root.uri}/tars", wish, **there)
    assert (report.n_gaits, report.n_pieces) == (4, 2)
    export(form, f"{s3_root.uri}/set", str(tmp_path), wish, **there)
    assert listing(open_storage(f"{s3_root.uri}/tars", endpoint_url=s3_root.endpoint_url)) == listing(
        open_storage(str(tmp_path))
    )
    again = export(form, f"{s3_root.uri}/set", f"{s3_root.uri}/tars", wish, **there)
    assert again.n_pieces_before == 2


@pytest.mark.parametrize(
    ("line", "thing", "mend"),
    [
        ("info s3://no-such-bucket-here/set", "no-such-bucket-here", "create|bucket"),
        ("info {root}/nothing", "nothing", "no dataset"),
        ("generate demo --out {root}/set", "holds another campaign", "choose another place"),
        ("pull {root}/set {root}/thesis", r"is not empty \(thesis\.txt\)", "choose another place"),
        ("pull {root}/set {root}/new --where gait_sped<1", "gait_sped", "mean 'gait_speed'"),
        ("export webdataset {root}/set --out {root}/thesis", r"not empty \(thesis\.txt\)", "another --out"),
        ("export webdataset {root}/set --out {root}/set/tars", "lies in the dataset", "beside it"),
    ],
)
def test_bad_input_leaves_a_bucket_as_it_was(line: str, thing: str, mend: str, s3_root: S3Root) -> None:
    root = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    make_dataset(open_storage(f"{s3_root.uri}/set", endpoint_url=s3_root.endpoint_url), CAMPAIGN, shards=[0])
    root.put("thesis/thesis.txt", b"years of work")
    before = listing(root)
    arguments = [word.format(root=s3_root.uri) for word in line.split()]
    result = CliRunner().invoke(
        app, [*arguments, "--endpoint-url", s3_root.endpoint_url], env={"COLUMNS": "200", "NO_COLOR": "1"}
    )
    message = " ".join(result.stderr.split())
    assert result.exit_code == 2, result.output
    assert re.search(thing, message), message
    assert re.search(mend, message), message
    assert "Traceback" not in result.output
    assert listing(root) == before
