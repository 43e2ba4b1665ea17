"""docs/cameras.md says what the code does: its tables are current, its campaign is one."""

from __future__ import annotations

import re

import yaml

from farm.config import Campaign
from tools.doc_tables import DOCS, with_tables

TEXT = (DOCS / "cameras.md").read_text("utf-8")


def test_the_tables_are_current() -> None:
    assert with_tables("cameras.md", TEXT) == TEXT, "run python tools/doc_tables.py"
    assert with_tables("cameras.md", TEXT.replace("`[0.5, 1.5]`", "`[9, 9]`")) == TEXT, "a wrong table must not pass"


def test_the_example_is_a_campaign_with_these_views() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    campaign = Campaign.model_validate({"name": "example", "seed": 1, "samples": 1, **yaml.safe_load(example)})
    assert [view.name for view in campaign.pictures.views] == ["front", "phone", "rough", "corner"]
    assert campaign.pictures.views[2].readout_s == (0.008, 0.025), "the rest of it is the phone's"
    assert not campaign.scene.cameras.shake
