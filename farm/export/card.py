"""The dataset card of a Hugging Face export: YAML for the Hub, then prose for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from farm.dataset.split import PARTS, Split
from farm.export.croissant import LIMITS, citation
from farm.export.formats import Task

HUB_LICENSES = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0",
                "odbl", "pddl")  # fmt: skip
"""Of the identifiers that the Hub knows, those that a campaign is likely to name."""

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def dataset_card(task: Task, features: Sequence[dict[str, Any]], split: Split) -> bytes:
    """`README.md`."""
    head = yaml.safe_dump(_front_matter(task, features), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{head}---\n\n{_prose(task, split)}".encode()


def _front_matter(task: Task, features: Sequence[dict[str, Any]]) -> dict[str, Any]:
    license_id = task.manifest.license.lower()
    known = license_id in HUB_LICENSES
    licensed = {"license": license_id} if known else {"license": "other", "license_name": task.manifest.license}
    n = task.note.n_gaits
    there = parts_of(task)
    return licensed | {
        "pretty_name": task.manifest.name,
        "task_categories": ["video-classification", "keypoint-detection", "tabular-regression"],
        "tags": ["gait", "biomechanics", "synthetic", "simulation", "pose-estimation"],
        "size_categories": [next((text for limit, text in SIZES if n < limit), "n>10M")],
        "configs": [
            {
                "config_name": "default",
                "drop_labels": True,
                "data_files": [{"split": part, "path": f"{part}/**"} for part in PARTS if part in there],
            }
        ],
        "dataset_info": {"config_name": "default", "features": list(features)},
    }


def parts_of(task: Task) -> list[str]:
    """The parts of the split that hold a gait."""
    keys = [item.key for item in task.target.list()]
    return [part for part in PARTS if any(key.startswith(f"{part}/") for key in keys)]


def _prose(task: Task, split: Split) -> str:
    manifest = task.manifest
    description = str(manifest.campaign.get("description") or "").strip()
    where = f", of which these fulfil `{task.note.order.where}`" if task.note.order.where is not None else ""
    arrays = "\n".join(
        f"| `{item.path}` | {', '.join(item.spec.dims[1:]) or 'one number'} | {item.spec.unit} | "
        f"{item.spec.description} |"
        for item in task.items
        if item.spec.field != "video"
    )
    software = ", ".join(
        f"{name} {version}" for name, version in manifest.software.items() if not name.endswith("_sha256")
    )
    rates = task.attributes
    limits = "\n".join(f"- {limit}" for limit in LIMITS)
    return f"""# {manifest.name}

{description}

{task.note.n_gaits} gaits of simulated people: each is a person of their own, who walks in a musculoskeletal simulation
and is filmed from {", ".join(manifest.views) or "no"} view(s). Every gait comes with what was drawn for it, its gait
parameters, and arrays over time.

## Load it

```python
from datasets import load_dataset

gaits = load_dataset("PATH_OR_NAME", split="train")
```

Films are decoded by `torchcodec`; without it take
`gaits.cast_column("video_VIEW", datasets.Video(decode=False))`, or read the `metadata.parquet` files alone.

## What is in it

`{split.train:g}/{split.validation:g}/{split.test:g}` of the gaits are for training, validation and test. A gait's part
is a pure function of its `sample_id` and the split's seed, {split.seed}.

Columns are named as in the index: parameters that were drawn, then gait parameters. `croissant.json` says the unit and
meaning of each. Arrays over time are sampled at {rates["sample_rate_hz"]:g} Hz (axis `sample`) or
{rates["frame_rate_hz"]:g} Hz (axis `frame`); world axes: x forward, y up, z to the right.

| array | axes | unit | what |
|---|---|---|---|
{arrays}

## How it was made

By gaitfarm, from dataset `{manifest.dataset_id}` (seed {manifest.seed}){where}: a person and a walking controller are
drawn, the walk is integrated, checked, labelled and filmed. Software: {software}.

## What it is not

{limits}

## Citation

```bibtex
{citation(manifest)}
```

License: {manifest.license}.
"""
