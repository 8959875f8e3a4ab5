"""The program `python -m m365lab`: starts, tells where it listens, is steered, and stops."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from support.lab import RunningLab


def steer(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "m365lab", *arguments, "--folder", str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def test_command_line_steers_a_running_lab(tmp_path: Path) -> None:
    with RunningLab(folder=tmp_path) as lab:
        done = steer(tmp_path, "fault", "on", "token-throttled", "retry_after=3", "times=1")
        assert (done.returncode, done.stderr) == (0, "")
        listed = steer(tmp_path, "fault", "list").stdout.splitlines()
        assert [line for line in listed if line.startswith("ON")] == [
            "ON  token-throttled            retry_after=int (1 more)"
        ]
        assert steer(tmp_path, "fault", "off", "all").returncode == 0
        assert not any(fault["on"] for fault in lab.control("GET", "/faults"))
        assert json.loads(steer(tmp_path, "state").stdout)["lab"]["tenant_id"] == lab.tenant_id
        assert len(json.loads(steer(tmp_path, "mailboxes").stdout)) == len(lab.mailboxes)
        lab.control("PUT", "/clock", {"skew": 5})
        assert steer(tmp_path, "reset").returncode == 0
        assert lab.control("GET", "/clock")["skew"] == 0
        wrong = steer(tmp_path, "fault", "on", "nonsense")
        assert (wrong.returncode, wrong.stderr.startswith("No fault nonsense")) == (1, True)
        named = ["--control", lab.control_url, "--key", lab.control_key, "--ca-file", lab.ca_file]
        assert steer(tmp_path / "elsewhere", "mailboxes", *named).returncode == 0
    nobody = steer(tmp_path, "state")
    assert (nobody.returncode, "No lab is running here" in nobody.stderr) == (1, True)


def test_json_line_names_ports_that_answer_with_the_labs_certificate() -> None:
    with RunningLab() as lab:
        for host, port in (("imap_host", "imap_port"), ("pop_host", "pop_port")):
            address = (lab.cloud[host], lab.cloud[port])
            with (
                socket.create_connection(address, 10) as plain,
                lab.ssl_context().wrap_socket(plain, server_hostname=address[0]) as tls,
            ):
                assert tls.version() in {"TLSv1.2", "TLSv1.3"}
                assert b"service is ready" in tls.recv(1000)
        with socket.create_connection((lab.cloud["smtp_host"], lab.cloud["smtp_port"]), 10) as plain:
            assert plain.recv(1000).startswith(b"220 ")
        described = ssl.create_default_context(cafile=lab.ca_file).get_ca_certs()
        assert described[0]["subject"] == ((("commonName", "Microsoft 365 lab authority"),),)


def test_signals_stop_it_cleanly() -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        lab = RunningLab().start()
        assert lab.process is not None
        lab.process.send_signal(name)
        assert lab.process.wait(15) == 0
        lab.stop()
        assert lab.errors() == ""
        assert not Path(lab.ca_file).exists(), "what was temporary is gone"


@pytest.mark.parametrize("server", ["https", "smtp", "imap", "pop", "introspection"])
def test_taken_port_is_told_with_its_fix(server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = dict.fromkeys(("https", "smtp", "imap", "pop", "introspection"), 0) | {server: port}
        given = [f"--{name}-port={number}" for name, number in ports.items()]
        done = subprocess.run([sys.executable, "-m", "m365lab", *given], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("The lab cannot start: ")
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr
