"""Clouds as data: what ships, what an administrator adds, and what is said of a file that is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.microsoft.clouds import BadCloud, clouds, write_cloud

LAB = {
    "name": "contoso-lab",
    "title": 'Lab of "Contoso" \\ Zürich 🏢',
    "authority": "https://127.0.0.1:8443",
    "graph": "https://localhost:8444",
    "exchange": "https://localhost:8444",
    "smtp_host": "localhost",
    "smtp_port": 5870,
    "imap_host": "localhost",
    "imap_port": 9930,
    "pop_host": "localhost",
    "pop_port": 9950,
    "ca_file": "lab-ca.pem",
}


def test_shipped_clouds():
    found = clouds()
    assert set(found) == {"global", "gcc-high", "dod", "china"}
    world = found["global"]
    assert world.authority == "https://login.microsoftonline.com"
    assert (world.smtp_host, world.smtp_port) == ("smtp.office365.com", 587)
    assert (world.imap_host, world.imap_port, world.pop_port) == ("outlook.office365.com", 993, 995)
    assert world.exchange_resource == "https://outlook.office365.com"
    assert world.graph_resource == "https://graph.microsoft.com"
    assert len({cloud.graph for cloud in found.values()}) == 4
    assert not any(cloud.ca_file for cloud in found.values())


def test_a_directory_that_is_not_there_adds_nothing(tmp_path):
    assert clouds(tmp_path / "none") == clouds()


def test_what_is_written_is_read(tmp_path):
    path = write_cloud(tmp_path / "clouds", LAB)
    cloud = clouds(path.parent)["contoso-lab"]
    assert cloud.title == LAB["title"]
    assert (cloud.smtp_port, cloud.imap_port, cloud.pop_port) == (5870, 9930, 9950)
    assert cloud.exchange_resource == "https://outlook.office365.com"
    assert cloud.ca_file == str(path.parent / "lab-ca.pem")
    assert "contoso-lab" not in clouds()


def test_writing_again_replaces(tmp_path):
    write_cloud(tmp_path, LAB)
    write_cloud(tmp_path, {**LAB, "smtp_port": 1})
    assert clouds(tmp_path)["contoso-lab"].smtp_port == 1
    assert [path.name for path in tmp_path.iterdir()] == ["contoso-lab.toml"]


def test_an_absolute_ca_file_stays(tmp_path):
    write_cloud(tmp_path, {**LAB, "ca_file": "/etc/ca.pem"})
    assert clouds(tmp_path)["contoso-lab"].ca_file == "/etc/ca.pem"


def test_an_administrator_can_correct_a_shipped_cloud(tmp_path):
    write_cloud(tmp_path, {**LAB, "name": "china"})
    assert clouds(tmp_path)["china"].smtp_port == 5870


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Contoso Lab"}, ["name", "small letters"]),
        ({"name": "../evil"}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"smtp_port": "587"}, ["smtp_port", "'587'", "port number"]),
        ({"smtp_port": 0}, ["smtp_port", "1 to 65535"]),
        ({"imap_port": True}, ["imap_port"]),
        ({"authority": "login.example.org"}, ["authority", "https://host"]),
        ({"authority": "http://login.example.org"}, ["authority", "https://host"]),
        ({"authority": "https://login.example.org/tenant"}, ["authority", "without a path"]),
        ({"graph": "https://[oops"}, ["graph", "https://host"]),
        ({"graph": "https://x:99999"}, ["graph", "https://host"]),
        ({"smtp_host": 5}, ["smtp_host", "quotes"]),
        ({"smtp_hots": "x"}, ["smtp_hots", "smtp_host"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(tmp_path, change, words):
    with pytest.raises(BadCloud) as caught:
        write_cloud(tmp_path, {**LAB, **change})
    assert not [word for word in words if word not in str(caught.value)]
    assert not list(tmp_path.iterdir())


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(BadCloud, match=r"contoso-lab\.toml: \[contoso-lab\]: smtp_host missing"):
        write_cloud(tmp_path, {key: value for key, value in LAB.items() if key != "smtp_host"})


@pytest.mark.parametrize("content", ["[lab\n", "\xff", "lab = 5", "[lab]\nsmtp_port = [1]"])
def test_a_file_that_is_no_cloud_is_named(tmp_path, content):
    (tmp_path / "odd.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(BadCloud, match=r"odd\.toml"):
        clouds(tmp_path)


@given(st.text(max_size=50))
def test_any_title_survives(tmp_path_factory, title):
    folder = tmp_path_factory.mktemp("clouds")
    try:
        title.encode()
    except UnicodeEncodeError:
        return
    write_cloud(folder, {**LAB, "title": title})
    assert clouds(folder)["contoso-lab"].title == title
