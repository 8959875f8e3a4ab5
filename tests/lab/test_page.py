"""The lab's page: it shows what is there, escaped, to those who know the key; in plain HTTP on loopback too."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from support.lab import RunningLab

SUPPORT = "/lab/mailboxes/support@contoso.example"
EVIL = "<script>alert(1)</script>"


def origin(address: str) -> str:
    return str(httpx2.URL(address).copy_with(path="/", query=None))


def https(lab: RunningLab) -> httpx2.Client:
    return httpx2.Client(base_url=lab.cloud["authority"], verify=lab.ssl_context(), trust_env=False)


@pytest.fixture
def browser(lab: RunningLab) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=origin(lab.page), trust_env=False, follow_redirects=True) as http:
        assert http.get(lab.page).status_code == 200
        yield http


@pytest.mark.parametrize("encrypted", [True, False])
def test_without_the_key_nothing_is_shown(lab: RunningLab, encrypted: bool) -> None:
    with https(lab) if encrypted else httpx2.Client(base_url=origin(lab.page), trust_env=False) as http:
        for path in ("/lab", SUPPORT, "/lab/gone", "/lab/applications", "/lab/faults", "/lab/changes"):
            answer = http.get(path)
            assert answer.status_code == 403
            assert lab.application["client_secret"] not in answer.text
        assert http.get("/lab?key=wrong").status_code == 403
        assert http.post("/lab/faults", data={"fault": "slow"}).status_code == 403


def test_key_moves_from_the_address_into_a_strict_cookie(lab: RunningLab) -> None:
    assert lab.page.startswith("http://127.0.0.1:")
    with https(lab) as http:
        answers = [http.get(lab.page), http.get("/lab", params={"key": lab.control_key})]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, "/lab")] * 2
    cookies = [answer.headers["set-cookie"].lower() for answer in answers]
    assert all(word in cookie for cookie in cookies for word in ("httponly", "samesite=strict", "path=/lab"))
    # A browser would not keep a cookie marked so that came in plain HTTP.
    assert ["secure" in cookie for cookie in cookies] == [False, True]


def test_in_plain_http_there_is_the_page_and_nothing_to_steer_by(lab: RunningLab) -> None:
    key = {"Authorization": f"Bearer {lab.control_key}"}
    with httpx2.Client(base_url=origin(lab.page), headers=key, trust_env=False) as http:
        answers = [http.get("/lab/api/state"), http.get("/v1.0/users"), http.get("/common/oauth2/deviceauth")]
        assert [answer.status_code for answer in answers] == [404] * 3
        assert http.get("/lab").status_code == 200
        assert http.get("/lab", headers={"Host": "evil.example"}).status_code == 403


def test_overview_shows_ids_and_endpoints(lab: RunningLab, browser: httpx2.Client) -> None:
    answer = browser.get("/lab")
    shown = {name: value for name, value in lab.application.items() if name != "name"}
    for value in (*shown.values(), lab.tenant_id, lab.ca_file, lab.administrator["password"]):
        assert value in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy


def test_mail_is_escaped_and_html_is_only_text(lab: RunningLab, browser: httpx2.Client) -> None:
    message = lab.control(
        "POST", "/mailboxes/support@contoso.example/messages", {"subject": EVIL, "text": EVIL, "headers": {"X-A": EVIL}}
    )
    for path in (SUPPORT, f"{SUPPORT}/messages/{message['id']}"):
        page = browser.get(path)
        assert page.status_code == 200
        assert EVIL not in page.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    raw = browser.get(f"{SUPPORT}/messages/{message['id']}/raw")
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.headers["x-content-type-options"] == "nosniff"


def test_faults_are_switched_by_the_page(lab: RunningLab, browser: httpx2.Client) -> None:
    def on() -> dict[str, object]:
        return {f["name"]: (f["times"], f["values"]) for f in lab.control("GET", "/faults") if f["on"]}

    browser.post(
        "/lab/faults", data={"fault": "token-throttled", "switch": "on", "times": "2", "value.retry_after": "9"}
    )
    assert on() == {"token-throttled": (2, {"retry_after": 9})}
    assert "on, 2 more" in browser.get("/lab/faults").text
    wrong = browser.post("/lab/faults", data={"fault": "slow", "switch": "on", "value.seconds": "soon"})
    assert (wrong.status_code, "is not float" in wrong.text) == (400, True)
    browser.post("/lab/faults", data={"fault": "token-throttled", "switch": "off"})
    assert on() == {}


def test_another_sites_form_switches_nothing(lab: RunningLab, browser: httpx2.Client) -> None:
    answer = browser.post("/lab/faults", data={"fault": "slow"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert not any(fault["on"] for fault in lab.control("GET", "/faults"))


def test_wrong_object_id_at_exchange_is_marked(lab: RunningLab, browser: httpx2.Client) -> None:
    lab.control("DELETE", f"/exchange/principals/{lab.application['client_id']}")
    body = {"app_id": lab.application["client_id"], "object_id": lab.application["object_id"]}
    lab.control("POST", "/exchange/principals", body)
    assert "not the Enterprise application&#39;s id" in browser.get("/lab/applications").text.replace("'", "&#39;")


def test_what_is_not_there(browser: httpx2.Client) -> None:
    for path in ("/lab/mailboxes/no@contoso.example", f"{SUPPORT}?folder=no", f"{SUPPORT}/messages/no", "/lab/gone/7"):
        assert browser.get(path).status_code == 404


def test_change_counter_moves_with_the_mail(lab: RunningLab, browser: httpx2.Client) -> None:
    before = browser.get("/lab/changes").text
    lab.control("POST", "/mailboxes/lee@contoso.example/messages", {"subject": "x"})
    assert browser.get("/lab/changes").text != before


def test_device_page_signs_a_person_in(lab: RunningLab) -> None:
    with https(lab) as browser:
        sign_in_by_device(lab, browser)


def sign_in_by_device(lab: RunningLab, browser: httpx2.Client) -> None:
    form = {"client_id": "14d82eec-204b-4c2f-b7e8-296a70dab67e", "scope": "https://graph.microsoft.com/.default"}
    code = browser.post(f"/{lab.tenant_id}/oauth2/v2.0/devicecode", data=form).json()
    assert lab.administrator["upn"] in browser.get("/common/oauth2/deviceauth").text
    typed = {"code": code["user_code"].lower(), "user": lab.administrator["upn"], "password": "wrong"}
    wrong = browser.post("/common/oauth2/deviceauth", data=typed)
    assert (wrong.status_code, "AADSTS50126" in wrong.text) == (400, True)
    right = browser.post("/common/oauth2/deviceauth", data=typed | {"password": lab.administrator["password"]})
    assert "You have signed in to the Microsoft Graph Command Line Tools application" in right.text
    ask = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_id": form["client_id"],
        "device_code": code["device_code"],
    }
    assert "access_token" in browser.post(f"/{lab.tenant_id}/oauth2/v2.0/token", data=ask).json()
