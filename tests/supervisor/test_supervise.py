"""The supervisor over real processes: start, restart, reload, drain."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Running

from routeiq.supervisor.state import admin_socket


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def begin(state: Path | None = None, **build: object) -> Running:
        made.append(Running(state or tmp_path / "state", **build))
        return made[-1]

    yield begin
    for running in made:
        running.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_starts_everything_and_drains_in_order(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    status = running.status()
    assert [process.name for process in status.processes] == ["control plane", "worker 1", "worker 2"]
    assert status.revision == "r1"
    assert stat.S_IMODE(running.state.stat().st_mode) == 0o700
    assert stat.S_IMODE(admin_socket(running.state).stat().st_mode) & 0o077 == 0
    code, errors = running.stop()
    assert code == 0
    assert "RouteIQ is ready" in errors
    said = [" ".join(line.split()[::2][:1] + line.split()[2:]) for line in running.said() if "start" not in line]
    ends = [line for line in said if "drain" in line or "exit" in line]
    assert ends[-2:] == ["control0 drain 10", "control0 exit"]
    assert sorted(ends[:-2]) == ["worker1 drain 2", "worker1 exit", "worker2 drain 2", "worker2 exit"]
    assert not admin_socket(running.state).exists()


def test_arguments_hold_no_snapshot_and_name_what_a_worker_needs(start: Callable[..., Running]) -> None:
    running = start(ssl_certfile="/c.pem", ssl_keyfile="/k.pem")
    running.wait_ready()
    (worker,) = running.said("worker2") and [line for line in running.said("worker2") if " start " in line]
    assert "--column 2 --columns 3" in worker
    assert "--certfile /c.pem --keyfile /k.pem" in worker
    assert f"--control {running.state}/run/control.sock" in worker
    assert running.status().url.startswith("https://127.0.0.1:")


def test_a_killed_worker_is_back_within_two_seconds(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    victim, other = running.pid("worker 1"), running.pid("worker 2")
    os.kill(victim, signal.SIGKILL)
    took = running.wait(lambda: running.pid("worker 1") not in (0, victim) and running.status().processes[1].revision)
    assert took < 2
    assert running.pid("worker 2") == other
    assert running.status().processes[1].restarts == 1
    _, errors = running.stop()
    assert "worker 1 ended by signal SIGKILL" in errors


def test_a_dead_control_plane_touches_no_worker(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    workers = running.pid("worker 1"), running.pid("worker 2")
    victim = running.pid("control plane")
    os.kill(victim, signal.SIGKILL)
    running.wait(lambda: running.pid("control plane") not in (0, victim))
    assert (running.pid("worker 1"), running.pid("worker 2")) == workers


def test_restarts_back_off(start: Callable[..., Running]) -> None:
    running = start(workers=1)
    running.wait_ready()
    (running.state / "crash").touch()
    os.kill(running.pid("worker 1"), signal.SIGKILL)
    begin = time.monotonic()
    running.wait(lambda: running.status().processes[1].restarts >= 4, 15)
    assert time.monotonic() - begin > 0.7
    (running.state / "crash").unlink()
    running.wait_ready()
    _, errors = running.stop()
    assert "with status 3" in errors


def test_a_good_reload_reaches_everyone(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    running.set_build(revision="r2", port=4999, host="0.0.0.0")
    answer = running.reload()
    assert answer.ok
    assert answer.revision == "r2"
    assert {finding.path for finding in answer.warnings} == {"routeiq.port", "routeiq.host"}
    assert all(process.revision == "r2" for process in running.status().processes)
    os.kill(running.pid("worker 2"), signal.SIGKILL)
    running.wait(lambda: len(running.said("worker2")) > 3)
    running.wait_ready("r2")


def names(running: Running) -> list[str]:
    return [process.name for process in running.status().processes]


def test_the_long_tail_comes_and_goes_with_its_deployments(start: Callable[..., Running]) -> None:
    running = start(workers=1)
    running.wait_ready()
    assert names(running) == ["control plane", "worker 1"]
    running.set_build(revision="r2", workers=1, longtail=True)
    assert running.reload().ok
    assert names(running) == ["control plane", "worker 1", "long tail"]
    running.wait_ready("r2")
    (begun,) = running.said("longtail0")[:1]
    assert f"--socket {running.state}/run/longtail.sock" in begun
    assert running.said("longtail0 ")[-1].endswith("serve r2")
    victim = running.pid("long tail")
    os.kill(victim, signal.SIGKILL)
    running.wait(lambda: running.pid("long tail") not in (0, victim))
    running.wait_ready("r2")
    running.set_build(revision="r3", workers=1)
    assert running.reload().ok
    running.wait(lambda: names(running) == ["control plane", "worker 1"])
    assert [line.split(" ", 2)[2] for line in running.said("longtail0")[-3:]] == ["serve r3", "drain 2", "exit"]


def test_the_long_tail_of_a_refused_snapshot_is_stopped_again(start: Callable[..., Running]) -> None:
    running = start(workers=1)
    running.wait_ready()
    (running.state / "refuse").write_text("r2")
    running.set_build(revision="r2", workers=1, longtail=True)
    assert not running.reload().ok
    running.wait(lambda: names(running) == ["control plane", "worker 1"])
    assert running.said("longtail0")[-1].endswith("exit")


def test_the_long_tail_is_drained_between_workers_and_control_plane(start: Callable[..., Running]) -> None:
    running = start(workers=1, longtail=True)
    running.wait_ready()
    assert running.stop()[0] == 0
    ends = [line.split()[0] for line in running.said(" exit")]
    assert ends == ["worker1", "longtail0", "control0"]


def test_a_bad_reload_changes_nothing(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    running.set_bad_build("no such provider")
    answer = running.reload()
    assert not answer.ok
    assert answer.revision == "r1"
    assert str(answer.errors[0]) == "c.yaml:3:5: error: model_list[0]: no such provider"
    (running.state / "build.msgpack").write_bytes(b"\xff\xfe nonsense")
    assert not running.reload().ok
    (running.state / "build.msgpack").unlink()
    assert "status 1" in running.reload().errors[0].message
    running.wait_ready("r1")
    assert not running.said("serve r2")
    _, errors = running.stop()
    assert "c.yaml:3:5" in errors


def test_a_refused_snapshot_is_rolled_back(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    (running.state / "refuse").write_text("r2")
    running.set_build(revision="r2")
    answer = running.reload()
    assert not answer.ok
    assert answer.revision == "r1"
    assert "worker 1 refused" in answer.errors[0].message
    running.wait_ready("r1")


def test_a_hundred_hang_ups_end_in_the_last_configuration(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    for number in range(100):
        running.set_build(revision=f"s{number}")
        running.process.send_signal(signal.SIGHUP)
        time.sleep(0.005)
    running.wait_ready("s99")
    builds = (running.state / "builds").read_text().count("build")
    assert builds < 60
    assert all(process.restarts == 0 for process in running.status().processes)


def test_invalidations_go_to_every_worker(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    (running.state / "invalidate").touch()
    running.wait(lambda: running.reload().ok)
    running.wait(lambda: len({line.split()[0] for line in running.said("invalidate ab")}) == 2)


def test_children_see_the_end_of_a_killed_supervisor(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    pids = [process.pid for process in running.status().processes]
    running.process.kill()
    running.wait(lambda: len(running.said("eof")) == 3)
    running.wait(lambda: not any(alive(pid) for pid in pids))
    running.process.communicate()
    again = start()
    again.wait_ready()


def test_a_slow_drain_is_bounded(start: Callable[..., Running]) -> None:
    running = start(drain=0.5)
    running.wait_ready()
    (running.state / "slow").write_text("30")
    begin = time.monotonic()
    code, errors = running.stop()
    assert code == 0
    assert 1.4 < time.monotonic() - begin < 3
    assert "killed" in errors
    assert running.said("control0")[-1].endswith("exit")


def test_a_second_signal_ends_at_once(start: Callable[..., Running]) -> None:
    running = start(drain=30.0)
    running.wait_ready()
    (running.state / "slow").write_text("30")
    running.process.send_signal(signal.SIGINT)
    running.wait(lambda: len(running.said("drain")) == 2)
    begin = time.monotonic()
    code, _ = running.stop(signal.SIGINT)
    assert code == 0
    assert time.monotonic() - begin < 2


def test_one_supervisor_a_state_directory(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    second = running.spawn()
    _, errors = second.communicate(timeout=10)
    assert second.returncode == 1
    assert f"process {running.process.pid}" in errors
    running.wait_ready()


def test_a_taken_port_is_named(start: Callable[..., Running]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = start(port=port)
        _, errors = running.process.communicate(timeout=10)
    assert running.process.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}: address already in use" in errors
    assert "Traceback" not in errors


def test_an_invalid_configuration_exits_with_two(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start()
    running.wait_ready()
    running.stop()
    running.set_bad_build("unknown key modle_list")
    running.process = running.spawn()
    _, errors = running.process.communicate(timeout=10)
    assert running.process.returncode == 2
    assert "c.yaml:3:5: error: model_list[0]: unknown key modle_list" in errors


def test_a_long_path_puts_the_sockets_elsewhere(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start(tmp_path / ("d" * 120) / "state")
    running.wait_ready()
    path = admin_socket(running.state)
    assert len(str(path)) < 107
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    running.stop()
    assert not path.parent.exists()


def test_the_admin_socket_survives_nonsense(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(admin_socket(running.state)))
        lines = connection.makefile("rwb")
        for line in (b"\xff\xfe\n", b"[]\n", b'{"command":"shutdown"}\n', b'{"command":5}\n'):
            lines.write(line)
            lines.flush()
            assert json.loads(lines.readline())["ok"] is False
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(admin_socket(running.state)))
        connection.sendall(b"x" * 200_000)
    assert running.status().ok


def test_a_signal_during_the_first_build_ends_it(start: Callable[..., Running], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "build.delay").write_text("20")
    running = start()
    running.wait(lambda: (state / "builds").exists())
    begin = time.monotonic()
    assert running.stop()[0] == 0
    assert time.monotonic() - begin < 2


def test_the_control_plane_may_ask_for_a_build_and_hears_what_came_of_it(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_ready()
    (running.state / "rebuild").touch()
    running.set_build("r2")
    assert running.reload().ok
    running.wait(lambda: running.said("rebuilt 7 True r2"))
    (running.state / "build.delay").write_text("0.5")
    (running.state / "rebuild").touch()
    assert running.reload().ok
    running.set_bad_build("nothing good")
    running.wait(lambda: running.said("rebuilt 7 False r2 nothing good"))
    assert running.status().revision == "r2"
