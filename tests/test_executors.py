"""Executors: order does not matter, everything comes back, and a bad file costs only itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from earmark import executors
from earmark.errors import EarmarkError, EncoderMismatch, NotAvailable, UsageError
from earmark.executors import FileFailure, ProcessExecutor, SerialExecutor
from fakes import Deed, DeedJob


def run(executor, deeds, *, job=None):
    """Return results and failures by number."""
    results, failures = [], {}
    for result in executor.run(job or DeedJob(), deeds):
        if isinstance(result, FileFailure):
            failures[int(Path(result.path).name)] = result
        else:
            results.append(result)
    return results, failures


@pytest.fixture
def pool():
    with ProcessExecutor(workers=2, time_limit=60) as executor:
        yield executor


def test_every_task_comes_back_once(pool):
    results, failures = run(pool, [Deed(n) for n in range(300)])
    assert sorted(results) == list(range(300))
    assert failures == {}


def test_no_tasks_start_no_worker(pool):
    assert run(pool, []) == ([], {})
    assert pool._running == []


def test_serial_gives_the_same_as_processes(pool):
    deeds = [Deed(0), Deed(1, "decode-error"), Deed(2), Deed(3, "bug"), Deed(4, "source-error")]
    expected_results, expected_failures = run(SerialExecutor(), deeds)
    results, failures = run(pool, deeds)
    assert sorted(results) == sorted(expected_results) == [0, 2]
    assert failures == expected_failures


def test_errors_become_failures_with_their_reasons():
    _, failures = run(
        SerialExecutor(), [Deed(1, "decode-error"), Deed(2, "source-error"), Deed(3, "bug")]
    )
    assert (failures[1].error, failures[1].lasting) == ("it is not audio", True)
    assert (failures[2].error, failures[2].lasting) == ("it is not there", False)
    assert failures[3].error == "ZeroDivisionError: a fault in an encoder"
    assert not failures[3].lasting


@pytest.mark.parametrize(
    ("what", "reason"),
    [("segfault", "killed by SIGSEGV"), ("exit", "status 7"), ("sigkill", "killed by SIGKILL")],
)
def test_a_crash_costs_only_its_file(pool, what, reason):
    deeds = [Deed(n, what if n in (0, 7, 8, 39) else "work") for n in range(40)]
    results, failures = run(pool, deeds)
    assert sorted(results) == [n for n in range(40) if n not in (0, 7, 8, 39)]
    assert sorted(failures) == [0, 7, 8, 39]
    assert all(reason in failure.error for failure in failures.values())


def test_a_hang_costs_only_its_file():
    with ProcessExecutor(workers=2, time_limit=1.0) as pool:
        deeds = [Deed(n, "spin" if n == 3 else "work") for n in range(30)]
        results, failures = run(pool, deeds)
    assert sorted(results) == [n for n in range(30) if n != 3]
    assert failures[3].error == "took longer than its time limit of 1 s"


def test_a_stopped_worker_is_killed_by_its_parent(monkeypatch):
    # Its own alarm cannot end a process that is stopped.
    monkeypatch.setattr("earmark.executors.pool._GRACE", 0.5)
    with ProcessExecutor(workers=1, time_limit=0.5) as pool:
        results, failures = run(pool, [Deed(0, "stop"), Deed(1)])
    assert results == [1]
    assert "time limit of 0.5 s" in failures[0].error


def test_the_limit_counts_from_the_start_of_each_file(monkeypatch):
    # Together the files in the pipe take far longer than the limit; none of them does.
    monkeypatch.setattr("earmark.executors.pool._GRACE", 0.2)
    with ProcessExecutor(workers=1, time_limit=1.0) as pool:
        results, failures = run(pool, [Deed(n, seconds=0.3) for n in range(8)])
    assert (sorted(results), failures) == (list(range(8)), {})


def test_long_files_may_take_longer():
    with ProcessExecutor(workers=1, time_limit=0.5) as pool:
        # 20 s of audio allow 4 s of work; the size makes the claim believable.
        results, failures = run(pool, [Deed(1, "slow-claim", seconds=20.0, size=10_000_000)])
    assert (results, failures) == ([1], {})


def test_a_lying_claim_grants_no_time():
    with ProcessExecutor(workers=1, time_limit=0.5) as pool:
        _, failures = run(pool, [Deed(1, "slow-claim", seconds=20.0, size=100)])
    assert 1 in failures


def test_a_worker_killed_from_outside_loses_nothing(pool):
    deeds = [Deed(n, "pid", seconds=0.05) for n in range(20)]
    seen = []
    killed = None
    for result in pool.run(DeedJob(), deeds):
        assert not isinstance(result, FileFailure)
        seen.append(result)
        if killed is None:
            killed = result
            os.kill(killed, signal.SIGKILL)
    assert len(seen) == 20


def test_workers_leave_an_interrupt_to_their_parent():
    # Ctrl-C in a terminal reaches all processes.
    with ProcessExecutor(workers=1) as pool:
        seen = []
        for pid in pool.run(DeedJob(), [Deed(n, "pid", seconds=0.05) for n in range(12)]):
            if not seen:
                os.kill(pid, signal.SIGINT)
            seen.append(pid)
    assert len(seen) == 12
    assert len(set(seen)) == 1


def test_workers_are_kept_between_runs_and_jobs(pool):
    first, _ = run(pool, [Deed(n, "pid", seconds=0.02) for n in range(8)])
    second, _ = run(pool, [Deed(n, "pid", seconds=0.02) for n in range(8)], job=DeedJob())
    assert set(second) <= set(first)


def test_each_worker_has_one_thread(pool):
    (environment,), _ = run(pool, [Deed(0, "environment")])
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["PATH"] == os.environ["PATH"]


def test_large_results_pass(pool):
    results, _ = run(pool, [Deed(n, "large", seconds=5_000_000) for n in range(4)])
    assert [result.nbytes for result in results] == [5_000_000] * 4


def test_a_slow_consumer_holds_the_work_back(pool):
    drawn = []

    def tasks():
        for n in range(200):
            drawn.append(n)
            yield Deed(n)

    with closing(pool.run(DeedJob(), tasks())) as results:
        next(results)
        time.sleep(0.2)
        assert len(drawn) < 60


def test_giving_up_half_way_leaves_a_usable_pool(pool):
    with closing(pool.run(DeedJob(), [Deed(n) for n in range(100)])) as results:
        next(results)
    assert pool._running == []
    results, failures = run(pool, [Deed(n) for n in range(1000, 1010)])
    assert (sorted(results), failures) == (list(range(1000, 1010)), {})


def test_idle_moments_are_told(pool):
    results = list(pool.run(DeedJob(), [Deed(0, seconds=0.5)], idle=0.1))
    assert results[-1] == 0
    assert results.count(None) >= 2


def test_an_error_of_the_job_reaches_the_caller(pool):
    with pytest.raises(EncoderMismatch, match="another one") as caught:
        run(pool, [Deed(0)], job=DeedJob("error"))
    assert caught.value.hint == "ask again"
    with pytest.raises(EarmarkError, match="ZeroDivisionError: a fault in a plug-in"):
        run(pool, [Deed(0)], job=DeedJob("bug"))
    assert run(pool, [Deed(5)])[0] == [5]


def test_workers_that_cannot_start_are_an_error(pool):
    with pytest.raises(EarmarkError, match=r"must be able to start.*status 9"):
        run(pool, [Deed(n) for n in range(10)], job=DeedJob("exit"))


def test_what_a_worker_says_last_is_told(monkeypatch):
    monkeypatch.setattr("earmark.executors.process._BOOT", "raise SystemExit('no such wheel')")
    with (
        ProcessExecutor(workers=1) as pool,
        pytest.raises(EarmarkError, match="no such wheel"),
    ):
        run(pool, [Deed(0)])


_INTERRUPTED = """
import os, signal, sys, threading
sys.path[:0] = {path!r}
from fakes import Deed, DeedJob
from earmark.executors import ProcessExecutor
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
# No guard around the script: workers must not run it again.
pool = ProcessExecutor(workers=2, time_limit=60)
results = pool.run(DeedJob(), [Deed(n, "pid", seconds=0.02) for n in range(4)]
                   + [Deed(n, "spin") for n in range(4, 8)])
pids = {{next(results) for _ in range(4)}}
print(*pids, flush=True)
threading.Timer(0.3, os.kill, (os.getpid(), signal.{signal})).start()
try:
    list(results)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_an_interrupt_ends_the_workers():
    script = _INTERRUPTED.format(path=sys.path, signal="SIGINT")
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    pids, last = done.stdout.splitlines()
    assert (last, done.stderr) == ("interrupted", "")
    assert not any(_alive(int(pid)) for pid in pids.split())


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed():
    # Even in the middle of a file that never ends: their own alarm sees to it.
    script = _INTERRUPTED.format(path=sys.path, signal="SIGKILL").replace("=60", "=3")
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in done.stdout.split()]
    for _ in range(100):
        if not any(map(_alive, pids)):
            break
        time.sleep(0.1)
    left = [pid for pid in pids if _alive(pid)]
    for pid in left:  # a test that fails must not leave processes that spin for ever
        os.kill(pid, signal.SIGKILL)
    assert left == []


def test_create():
    assert executors.create("processes", workers=3, time_limit=5).time_limit == 5
    assert executors.create("processes").workers == executors.cores()
    assert isinstance(executors.create("serial"), SerialExecutor)
    with pytest.raises(NotAvailable, match="ray"):
        executors.create("ray")
    with pytest.raises(UsageError) as caught:
        executors.create("process")
    assert caught.value.hint == "did you mean 'processes'?"
    with pytest.raises(UsageError, match="workers"):
        ProcessExecutor(workers=-1)
    with pytest.raises(UsageError, match="time_limit"):
        ProcessExecutor(time_limit=0)
