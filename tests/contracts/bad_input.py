"""A working folder full of what people get wrong, and a fingerprint that shows whether a command touched it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from farm.dataset.pull import pull
from farm.dataset.pull_choice import Wish
from farm.export.run import export
from farm.export.webdataset import WebDatasetTars
from tests.datasets import make_dataset
from tests.samples import make_campaign

GOOD = "name: mine\nsamples: 4\n"

CAMPAIGNS = {
    "misspelt": GOOD + "gaits_per_shrad: 2\n",
    "misspelt_deep": GOOD + "population: {statur_m: [1.5, 1.8]}\n",
    "misspelt_in_list": GOOD + "conditions: [{condition: healthy, severty: [0, 1]}]\n",
    "reversed_severity": GOOD + "conditions: [{condition: foot_drop, severity: [0.9, 0.1]}]\n",
    "range_of_one": GOOD + "target_speed_m_s: [1.0]\n",
    "range_as_number": GOOD + "target_speed_m_s: 1.0\n",
    "infinite": GOOD + "simulation: {duration_s: .inf}\n",
    "nan_in_range": GOOD + "target_speed_m_s: [.nan, 1.0]\n",
    "unknown_engine": GOOD + "engine: opensin\n",
    "unknown_body": GOOD + "body_model: 2d\n",
    "wrong_side": GOOD + "conditions: [{condition: healthy, side: [right]}]\n",
    "weight_zero": GOOD + "conditions: [{condition: healthy, weight: 0}]\n",
    "no_conditions": GOOD + "conditions: []\n",
    "seed_negative": GOOD + "seed: -1\n",
    "seed_huge": GOOD + "seed: 99999999999999999999\n",
    "too_many": "name: mine\nsamples: 1000000000000\n",
    "views_as_number": GOOD + "pictures: {views: 3}\n",
    "tiny_pictures": GOOD + "pictures: {image_size: [8, 8]}\n",
    "crf": GOOD + "pictures: {crf: 99}\n",
    "list_for_mapping": GOOD + "population: [1, 2]\n",
    "python_tag": "!!python/object/apply:os.system ['touch hacked']\n",
    "two_documents": GOOD + "---\nname: other\n",
    "key_twice": GOOD + "samples: 5\n",
    "number_as_key": GOOD + "7: 8\n",
    "template": "name: mine\nsamples: {{ n }}\n",
    "list_as_key": GOOD + "population: {[1, 2]: 3}\n",
    "no_such_day": GOOD + "description: 2026-02-30\n",
    "tagged_number": GOOD + "seed: !!int 'x'\n",
    "tagged_time": GOOD + "description: !!timestamp 'x'\n",
    "many_digits": GOOD + f"seed: {'9' * 5000}\n",
    "tab": "name: mine\n\tsamples: 4\n",
    "bomb": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + GOOD,
    "deep": GOOD + "description: " + "[" * 5000 + "]" * 5000 + "\n",
    "too_large": GOOD + "description: " + "x" * (2 << 20) + "\n",
}

SEARCHES = {
    "search_misspelt": "{method: cmaes, start: healthy_120, populaton: 8}",
    "search_unknown": "{method: cmaes, start: healthy_120, condition: limp}",
    "search_way": "{method: anneal, start: healthy_120, condition: foot_drop, side: both, along: {severty: [0.1, 1]}}",
    "search_start": "{method: cmaes, start: healthy_12}",
}


def make_working_folder(root: Path) -> None:
    """Everything that `test_bad_input.py` names, under `root`."""
    campaign = make_campaign(samples=4, gaits_per_shard=2)
    make_dataset(str(root / "set"), campaign)
    make_dataset(str(root / "other"), make_campaign(samples=4, gaits_per_shard=2, seed=9), shards=[0])
    pull(str(root / "set"), str(root / "pulled"), where="sample_id < 2")
    export(WebDatasetTars(), str(root / "set"), str(root / "exported"), Wish(fields=("coordinates",)))
    for name, change in (
        ("newer", {"format_version": 2}), ("nameless", {"dataset_id": None}), ("escaping", {"views": ["../../etc"]}),
    ):  # fmt: skip
        shutil.copytree(root / "set", root / name)
        manifest = json.loads((root / name / "dataset.json").read_bytes()) | change
        (root / name / "dataset.json").write_text(json.dumps(manifest), "utf-8")
    shutil.copytree(root / "set", root / "torn")
    (root / "torn" / "dataset.json").write_bytes((root / "set" / "dataset.json").read_bytes()[:99])
    shutil.copytree(root / "set", root / "hurt")
    (root / "hurt" / "commits" / "00000001.json").write_text("{}", "utf-8")
    shutil.rmtree(root / "hurt" / "catalogue", ignore_errors=True)
    (root / "empty").mkdir()
    (root / "thesis").mkdir()
    (root / "thesis" / "thesis.txt").write_text("years of work", "utf-8")
    (root / "file.txt").write_text("a file where a folder is needed", "utf-8")
    for name, text in CAMPAIGNS.items():
        (root / f"{name}.yaml").write_text(text, "utf-8")
    for name, text in SEARCHES.items():
        (root / f"{name}.yaml").write_text(f"searches:\n  first: {text}\n", "utf-8")
    (root / "good.yaml").write_text(GOOD, "utf-8")
    (root / "others.yaml").write_text(GOOD + "seed: 2\n", "utf-8")
    (root / "latin.yaml").write_bytes("name: mine\nsamples: 4\ndescription: Gr\xf6\xdfe\n".encode("latin-1"))
    (root / "binary.yaml").write_bytes(bytes(range(256)))
    np.savez(root / "keypoints.npz", keypoints_2d=np.zeros((30, 17, 2)), fps=30.0, image_size=[64, 64])
    (root / "model.safetensors").write_bytes(b"not a model")


def fingerprint(root: Path) -> str:
    """A hash of every name and every byte under `root`."""
    seen = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        kind = b"d" if path.is_dir() else hashlib.sha256(path.read_bytes()).digest()
        seen.update(path.relative_to(root).as_posix().encode() + b"\0" + kind)
    return seen.hexdigest()
