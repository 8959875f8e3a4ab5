"""What lies in deploy/ fits the product: commands exist, settings are documented, systemd takes the unit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
POSTROOM = Path(sys.executable).with_name("postroom")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "postroom"}
DOCUMENTED = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "postroom.service").read_text()


def verify(unit: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """As systemd would read it, offline; with the program where it is here."""
    file = folder / "postroom.service"
    file.write_text(unit.replace("/opt/postroom/bin/postroom", str(POSTROOM)))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)]
    return subprocess.run(command, capture_output=True, text=True)


def commands() -> list[list[str]]:
    """Every call of `postroom` in deploy/."""
    (image,) = re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    (unit,) = re.findall(r"^ExecStart=\S+/postroom (.+)$", UNIT, re.MULTILINE)
    return [*(service["command"] for service in OURS.values()), yaml.safe_load(image), unit.split()]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_and_option_exists(command: list[str]) -> None:
    done = subprocess.run([str(POSTROOM), *command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: postroom" in done.stdout


def test_an_option_that_does_not_exist_would_be_noticed() -> None:
    assert subprocess.run([str(POSTROOM), "serve", "--rolle", "web", "--help"], capture_output=True).returncode == 2


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_documented_and_given_by_the_example(name: str) -> None:
    environment = OURS[name]["environment"]
    assert set(environment) <= DOCUMENTED
    asked = set(re.findall(r"\$\{([A-Z_]+)", " ".join(map(str, environment.values()))))
    example = re.findall(r"^([A-Z_]+)=", (DEPLOY / "postroom.env.example").read_text(), re.MULTILINE)
    assert asked == set(example)


def test_every_role_runs_and_there_are_two_workers() -> None:
    roles = {service["command"][2] for service in OURS.values() if service["command"][0] == "serve"}
    assert roles == {"web", "submission", "worker"}
    assert OURS["worker"]["deploy"]["replicas"] == 2


def test_volumes_dependencies_and_files_exist() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
    assert (DEPLOY / OURS["web"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / OURS["web"]["build"]["dockerfile"]).is_file()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for word in line.split():
            assert (ROOT / word).exists(), word
            assert f"!{word.removeprefix('./')}" in (DEPLOY / "Dockerfile.dockerignore").read_text().split(), word


def test_ports_are_for_this_machine_only_and_nobody_is_root() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["postroom"]


def test_the_health_of_a_container_is_asked_at_a_port_that_every_role_opens() -> None:
    (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/readyz", DOCKERFILE)
    for command in commands():
        if command[0] == "serve":
            assert command[command.index("--metrics-port") + 1] == port


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    done = verify(UNIT, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("change", [("Restart=always", "Restart=ever"), ("ProtectHome=", "ProtectHouse=")])
def test_a_slip_in_the_unit_would_be_noticed(tmp_path: Path, change: tuple[str, str]) -> None:
    assert verify(UNIT.replace(*change), tmp_path).returncode != 0
