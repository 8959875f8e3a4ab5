"""Ids, limits and dates: data of Microsoft's, with sources."""

from __future__ import annotations

import datetime
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.microsoft import ids
from postroom.microsoft.limits import deadlines, limit, tenant_external_recipients


def test_ids():
    assert ids.application_id("exchange") == "00000002-0000-0ff1-ce00-000000000000"
    assert ids.application_id("graph") == "00000003-0000-0000-c000-000000000000"
    assert ids.role_id("exchange", "IMAP.AccessAsApp") == "5e5addcd-3e8d-4e90-baf5-964efab2b20a"
    assert ids.role_id("exchange", "POP.AccessAsApp") == "cb842b43-da6e-4506-86fe-bb12199c656d"
    assert ids.role_id("graph", "Mail.Send") == "b633e1c5-b582-4048-a93e-9f11b44c7e96"
    assert ids.directory_role_id("Exchange Administrator") == "29232cdf-9323-42fd-ade2-1d097af3e4de"
    assert "SMTP.Send" in ids.delegated_permissions()


def test_the_role_whose_id_nobody_states_is_not_made_up():
    assert ids.role_id("exchange", "SMTP.SendAsApp") is None


@given(st.uuids(), st.sampled_from([str.upper, str.lower]))
def test_guids_are_guids_and_secret_ids(value: uuid.UUID, case):
    text = case(str(value))
    assert ids.is_guid(text)
    assert ids.is_tenant(text)
    assert ids.is_secret_id(f" {text}\n")
    assert not ids.is_guid("{" + text + "}")
    assert not ids.is_guid(text + "\n")


@pytest.mark.parametrize("text", ["contoso.com", "contoso.onmicrosoft.com", "a-b.co.uk", "xn--bcher-kva.example"])
def test_domains_are_tenants(text):
    assert ids.is_tenant(text)


@pytest.mark.parametrize(
    "text", ["", "common", "contoso", "contoso..com", "-a.com", "a@b.com", "https://contoso.com", "a" * 64 + ".com"]
)
def test_others_are_not(text):
    assert not ids.is_tenant(text)


def test_limits():
    assert limit("smtp", "messages_per_minute").value == 30
    assert limit("smtp", "connections").value == 3
    assert limit("graph", "upload_chunk_bytes").value % (320 * 1024) == 0
    assert limit("graph", "upload_chunk_bytes").value < limit("graph", "body_bytes").value
    assert limit("smtp", "message_bytes").source


@pytest.mark.parametrize(
    ("licences", "recipients"), [(1, 10_000), (25, 14_259), (100, 22_059), (1_000, 72_446), (10_000, 324_979)]
)
def test_tenant_limit_is_microsofts_table(licences, recipients):
    assert tenant_external_recipients(licences) == pytest.approx(recipients, abs=1)


def test_dates_are_dates_and_can_be_replaced(tmp_path):
    shipped = deadlines()
    assert shipped["basic-smtp-default-off"].date == datetime.date(2026, 12, 31)
    assert all(one.source and one.title for one in shipped.values())
    newer = tmp_path / "dates.toml"
    newer.write_text(
        '[basic-smtp-default-off]\ndate = 2027-06-30\ntitle = "later"\napplies_to = "password"\nsource = "blog"\n'
    )
    assert deadlines(newer)["basic-smtp-default-off"].date == datetime.date(2027, 6, 30)
    assert deadlines(newer)["ews-removal"] == shipped["ews-removal"]
    assert deadlines(tmp_path / "none.toml") == shipped


@pytest.mark.parametrize(
    "content", ["[", "[x]\ntitle = 1", '[x]\ndate = "2027-01-01"\ntitle = "a"\napplies_to = "b"\nsource = "c"', "x = 1"]
)
def test_dates_that_are_wrong_name_the_file(tmp_path, content):
    file = tmp_path / "dates.toml"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"dates\.toml"):
        deadlines(file)
