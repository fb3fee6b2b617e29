"""The sample that fitted encoders learn from, and what is known of files before opening them."""

from __future__ import annotations

import numpy as np
import pytest

import fakes
from earmark import encoders, ingest
from earmark.executors import EncoderRef, ProcessExecutor, SerialExecutor
from earmark.executors.tasks import EncodeTask
from earmark.ingest import Plan, estimating, fitting
from earmark.ingest.fitting import Reservoir
from earmark.sources import Source, stat
from ingest_helpers import write


def _slow_reservoir(rows, capacity, seed):
    """Algorithm R, row by row, with the same random numbers."""
    random = np.random.default_rng(seed)
    sample = []
    for number, row in enumerate(rows, start=1):
        if len(sample) < capacity:
            sample.append(row)
            continue
        place = int(random.random() * number)
        if place < capacity:
            sample[place] = row
    return np.array(sample)


def test_reservoir_agrees_with_its_slow_twin():
    rows = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    reservoir = Reservoir(64, seed=5)
    for block in np.array_split(rows, [10, 10, 60, 70, 500]):
        reservoir.add(block)
    np.testing.assert_array_equal(reservoir.rows(), _slow_reservoir(rows, 64, 5))
    assert reservoir.seen == 1000


def test_reservoir_is_uniform():
    hits = np.zeros(100)
    for seed in range(400):
        reservoir = Reservoir(10, seed=seed)
        reservoir.add(np.arange(100, dtype=np.float32)[:, None])
        hits[reservoir.rows()[:, 0].astype(int)] += 1
    assert hits.sum() == 4000
    assert 15 < hits.min() < hits.max() < 70  # 40 each, standard deviation 6


def test_reservoir_of_few_rows_keeps_all():
    reservoir = Reservoir(10, seed=0)
    assert reservoir.rows().shape == (0, 0)
    reservoir.add(np.ones((3, 2), np.float32))
    assert reservoir.rows().shape == (3, 2)


def test_choice_is_bounded_and_seeded():
    sources = [Source(f"/{n:05}.mp3", 24_000 * 300, 0) for n in range(5000)]
    tasks = fitting.choose(sources, seed=1)
    assert sum(task.seconds for task in tasks) == pytest.approx(fitting.MOST_SECONDS, abs=60)
    assert {task.seconds for task in tasks} == {fitting.LEAST_SECONDS_PER_FILE}
    assert len({task.source for task in tasks}) == len(tasks)
    assert len({task.position for task in tasks}) > 0.9 * len(tasks)
    assert fitting.choose(sources[::-1], seed=1) == tasks
    assert fitting.choose(sources, seed=2) != tasks


def test_choice_of_few_files_takes_more_of_each():
    sources = [Source(f"/{n}.mp3", 24_000 * 300, 0) for n in range(3)]
    tasks = fitting.choose(sources, seed=1)
    assert [task.seconds for task in tasks] == [fitting.MOST_SECONDS_PER_FILE] * 3


@pytest.fixture
def files(tmp_path):
    paths = [write(tmp_path / f"{n}.wav", n, seconds=2 + n % 3) for n in range(12)]
    (tmp_path / "x.wav").write_bytes(b"no sound")
    return [stat(str(path)) for path in (*paths, tmp_path / "x.wav")]


def test_sample_is_the_same_whatever_the_order_and_the_executor(files):
    ref = EncoderRef("learning", factory="fakes:make_learning")
    serial = fitting.sample(ref, files, SerialExecutor(), seed=3)
    assert serial.shape == (sum(2 + n % 3 for n in range(12)), 3)
    with ProcessExecutor(workers=2) as pool:
        parallel = fitting.sample(ref, files[::-1], pool, seed=3)
    np.testing.assert_array_equal(serial, parallel)


def test_sample_takes_a_part_of_long_files(tmp_path, monkeypatch):
    monkeypatch.setattr(encoders, "create", fakes.create_encoder)
    monkeypatch.setattr(fitting, "MOST_SECONDS_PER_FILE", 5.0)
    monkeypatch.setattr(fitting, "LEAST_SECONDS_PER_FILE", 5.0)
    path = write(tmp_path / "long.wav", 1, seconds=60)
    seen = []
    rows = fitting.sample(
        EncoderRef("learning"),
        [stat(str(path))],
        SerialExecutor(),
        seed=0,
        on_progress=seen.append,
    )
    assert len(rows) == 5
    assert seen[-1].seconds == pytest.approx(5.0, abs=0.01)


def test_estimate_looks_into_files(files):
    tasks = tuple(EncodeTask(source, ("level",)) for source in files)
    plan = Plan(encoders=("level",), encode=tasks)
    guess = estimating.informed_guess(files, seed=0)
    sound = files[:-1]
    assert sum(map(guess, sound)) == pytest.approx(sum(2 + n % 3 for n in range(12)), rel=0.05)
    one = ingest.estimate(plan, workers=1, speed=1.0)
    two = ingest.estimate(plan, workers=2, speed=1.0)
    assert one == pytest.approx(36 + estimating.START_SECONDS, rel=0.1)
    assert two - estimating.START_SECONDS == pytest.approx((one - estimating.START_SECONDS) / 2)
    assert ingest.estimate(Plan(encoders=()), workers=1) == 0
