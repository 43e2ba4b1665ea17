"""The network learns, its files are safe, and a restored fit goes on as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors_bytes

from farm.errors import FormatError
from tests.test_workers.test_train_stream import Memory, shards, stream
from tests.test_workers.test_train_variation import clip
from workers.train.clips import batch_rand
from workers.train.estimator import (
    CHECKPOINT_NAME,
    GaitEstimator,
    gait_from_outputs,
    load,
    loss,
    save,
    standardised_targets,
)
from workers.train.fit import Fitter, TrainSettings
from workers.train.variation import LABELS

SMALL = TrainSettings(seed=3, epochs=2, steps=6, batch_size=4, width=8)


def test_targets_and_answers_are_inverse() -> None:
    labels = torch.tensor([[1.25, 0.70, 0.56, 60 / 0.56, 0.11], [0.5, 0.4, 0.8, 75.0, 0.2]])
    stature = torch.tensor([1.75, 1.6])
    answer = gait_from_outputs(standardised_targets(labels, stature))
    torch.testing.assert_close(answer, labels, rtol=1e-4, atol=1e-4)
    assert loss(standardised_targets(labels, stature), labels, stature) == pytest.approx(0.0, abs=1e-9)


def test_every_answer_is_consistent() -> None:
    answer = gait_from_outputs(torch.randn(100, 4))
    speed, step, time, cadence, width = answer.unbind(-1)
    torch.testing.assert_close(speed, step / time)
    torch.testing.assert_close(cadence, 60.0 / time)
    assert (width >= 0).all()


def test_what_is_not_valid_does_not_matter() -> None:
    batch = batch_rand(np.random.default_rng(0), [clip()] * 3, 80)
    f = batch.features
    model = GaitEstimator().eval()
    valid = torch.from_numpy(f.valid)
    valid[:, 64:] = False
    frames, whole = torch.from_numpy(f.frames), torch.from_numpy(f.whole)
    other = frames.clone()
    other[~valid] = 7.0
    with torch.inference_mode():
        torch.testing.assert_close(model(frames, whole, valid), model(other, whole, valid))


def run(fitter: Fitter, epochs: int, source: Memory) -> None:
    s = stream(source, seed=SMALL.seed, batch_size=SMALL.batch_size, steps_per_epoch=SMALL.steps)
    s.load_state_dict({"epoch": fitter.progress.epoch, "step": 0})
    for _ in range(epochs):
        fitter.begin_epoch()
        for batch in s:
            fitter.step(batch)
        fitter.end_epoch(1.0)


def test_resumed_equals_uninterrupted_to_the_last_bit() -> None:
    source = Memory(shards(3))
    whole = Fitter(SMALL)
    run(whole, 2, source)
    first = Fitter(SMALL)
    run(first, 1, source)
    state = first.state()
    second = Fitter(SMALL)
    second.restore(state)
    assert second.progress.epoch == 1
    run(second, 1, source)
    for a, b in zip(whole.estimator.parameters(), second.estimator.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert second.progress == whole.progress


def test_a_state_of_other_settings_is_refused() -> None:
    fitter = Fitter(SMALL)
    other = Fitter(TrainSettings(seed=4, epochs=2, steps=6, batch_size=4, width=8))
    with pytest.raises(FormatError, match="cannot resume: seed was 3 and is now 4"):
        other.restore(fitter.state())
    with pytest.raises(FormatError, match="training state is damaged"):
        fitter.restore(b"nonsense")


def test_a_few_steps_reduce_the_error_of_what_carries_signal() -> None:
    """40 steps from four walkers; fresh batches of the same walkers, varied and filmed anew."""
    settings = TrainSettings(seed=1, epochs=1, steps=40, batch_size=32, width=16)
    clips = [clip(speed) for speed in (0.8, 1.0, 1.3, 1.6)]
    fitter = Fitter(settings)

    def batch(i: int) -> object:
        return batch_rand(np.random.default_rng([9, i]), clips * 8, 72)

    test = [batch(1000 + i) for i in range(4)]
    fitter.calibrate([batch(i) for i in range(500, 503)])  # type: ignore[misc]
    before = fitter.validate(test)  # type: ignore[arg-type]
    fitter.begin_epoch()
    for i in range(settings.steps):
        fitter.step(batch(i))  # type: ignore[arg-type]
    after = fitter.validate(test)  # type: ignore[arg-type]
    assert after < 0.7 * before
    truth = np.concatenate([b.labels for b in test])  # type: ignore[attr-defined]
    with torch.inference_mode():
        outputs = [
            fitter.estimator(*(torch.from_numpy(x) for x in (b.features.frames, b.features.whole, b.features.valid)))  # type: ignore[attr-defined]
            for b in test
        ]
    guess = gait_from_outputs(torch.cat(outputs)).numpy()
    r = {name: np.corrcoef(truth[:, i], guess[:, i])[0, 1] for i, name in enumerate(LABELS)}
    assert r["step_time"] > 0.85
    assert r["gait_speed"] > 0.6


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    fitter = Fitter(SMALL)
    fitter.calibrate([batch_rand(np.random.default_rng(0), [clip()] * 4, 60)])
    (tmp_path / CHECKPOINT_NAME).write_bytes(save(fitter.estimator, provenance={"seed": 3}))
    for path in (tmp_path, tmp_path / CHECKPOINT_NAME):
        model, provenance = load(path)
        assert provenance == {"seed": 3}
        for (name, a), b in zip(fitter.estimator.state_dict().items(), model.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)


def test_foreign_and_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    good = save(GaitEstimator(), provenance={})
    cases = {
        "text.safetensors": (b"hello", "not a gaitfarm checkpoint"),
        "empty.safetensors": (b"", "not a gaitfarm checkpoint"),
        "cut.safetensors": (good[: len(good) // 2], "not a gaitfarm checkpoint"),
        "other.safetensors": (safetensors_bytes({"a": torch.zeros(3)}), "header says None"),
        "newer.safetensors": (
            safetensors_bytes({"a": torch.zeros(3)}, metadata={"format": "gaitfarm-estimator", "version": "2"}),
            "checkpoint version '2', this gaitfarm reads 1",
        ),
        "hollow.safetensors": (
            safetensors_bytes(
                {"a": torch.zeros(3)},
                metadata={"format": "gaitfarm-estimator", "version": "1", "config": json.dumps({"blocks": [1, 1]})},
            ),
            "a damaged gaitfarm checkpoint",
        ),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FormatError, match=message) as caught:
            load(path)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(FormatError, match=r"there is no such checkpoint"):
        load(tmp_path / "missing")
    with pytest.raises(FormatError, match=r"no estimator\.safetensors in this folder"):
        load(tmp_path)


def test_a_pickled_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(FormatError, match="not a gaitfarm checkpoint"):
        load(path)
