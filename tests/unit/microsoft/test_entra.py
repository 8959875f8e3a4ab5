"""azure-identity as it really behaves, against a token endpoint over HTTPS: what is sent, how refusals come back."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote

import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.catalogue import find
from postroom.microsoft.certificates import make_certificate
from postroom.microsoft.entra import answer_of, ask
from postroom.microsoft.identity import Certificate, ClientSecret, FederatedFile, ManagedIdentity

RESOURCE = "https://outlook.office365.com"


def _error(status, name, code, text, **headers):
    body = {
        "error": name,
        "error_description": f"AADSTS{code}: {text}\r\nTrace ID: trace-1\r\nTimestamp: 2026-11-23 10:00:00Z",
        "error_codes": [code],
        "trace_id": "trace-1",
    }
    return type("R", (), {"status": status, "body": body, "headers": headers})()


def _refused(identity, credential) -> Answer:
    with pytest.raises(Refused) as caught:
        ask(identity, credential, RESOURCE)
    return caught.value.answer


def test_secret_gives_a_token_with_claims(entra):
    identity = entra.identity()
    token = ask(identity, identity.credentials[0], RESOURCE)
    assert token.claims.audience == RESOURCE
    assert token.claims.roles == {"SMTP.SendAsApp"}
    [form] = entra.forms
    assert form["scope"] == f"{RESOURCE}/.default"
    assert form["grant_type"] == "client_credentials"
    assert form["client_secret"] == "s3cret~value"


def test_every_call_asks_entra_though_azure_identity_keeps_tokens(entra):
    identity = entra.identity()
    first, second = (ask(identity, identity.credentials[0], RESOURCE) for _ in range(2))
    assert first.value != second.value
    assert len(entra.forms) == 2


def test_certificate_signs_an_assertion_that_its_public_part_verifies(entra):
    made = make_certificate("postroom-test", days=2)
    ask(entra.identity(), Certificate("c", made.pem_with_key), RESOURCE)
    [form] = entra.forms
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    head, body, signature = form["client_assertion"].split(".")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body))
    assert claims["iss"] == claims["sub"] == entra.identity().client_id
    raw = base64.urlsafe_b64decode(signature + "==")
    key = x509.load_pem_x509_certificate(made.public_pem.encode()).public_key()
    signed = f"{head}.{body}".encode()
    if header["alg"] == "PS256":
        key.verify(raw, signed, padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO), SHA256())
    else:
        key.verify(raw, signed, padding.PKCS1v15(), SHA256())
    thumbprint = header.get("x5t#S256") or header["x5t"]
    expected = made.sha256 if "x5t#S256" in header else made.sha1
    assert base64.urlsafe_b64decode(thumbprint + "==").hex().upper() == expected


def test_federated_file_is_read_each_time(entra, tmp_path):
    file = tmp_path / "token"
    for text in ("first.token.x", "second.token.x"):
        file.write_text(text + "\n")
        ask(entra.identity(), FederatedFile("f", str(file)), RESOURCE)
    assert [form["client_assertion"] for form in entra.forms] == ["first.token.x", "second.token.x"]


@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_token_file_that_is_missing_or_empty_is_named(entra, tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    answer = _refused(entra.identity(), FederatedFile("f", str(file)))
    assert (answer.service, answer.code) == (Service.ENTRA, "credential")
    assert str(file) in answer.text
    assert not entra.forms


def test_managed_identity_is_the_applications_assertion(entra, monkeypatch):
    """Azure's App Service tells the address of its identity endpoint in the environment."""
    asked = []

    class Identity(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["X-IDENTITY-HEADER"]))
            body = json.dumps({"access_token": "managed.token.x", "expires_on": "4102444800", "token_type": "Bearer"})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Identity)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header-1")
    ask(entra.identity(), ManagedIdentity("m", "cccccccc-2222-4333-8444-555555555555"), RESOURCE)
    thread.join()
    server.server_close()
    [(path, header)] = asked
    assert "resource=api://AzureADTokenExchange&" in unquote(path)
    assert "client_id=cccccccc-2222-4333-8444-555555555555" in path
    assert header == "header-1"
    assert entra.forms[0]["client_assertion"] == "managed.token.x"


@pytest.mark.parametrize(
    ("status", "name", "code"),
    [
        (401, "invalid_client", 7000215),
        (401, "invalid_client", 7000222),
        (400, "unauthorized_client", 700016),
        (400, "invalid_resource", 500011),
        (400, "invalid_grant", 53003),
    ],
)
@pytest.mark.parametrize("by", ["msal", "own"])
def test_refusals_keep_code_error_status_and_trace(entra, tmp_path, status, name, code, by):
    entra.reply = lambda form: _error(status, name, code, "Words of Microsoft.")
    file = tmp_path / "token"
    file.write_text("a.b.c")
    credential = ClientSecret("s", "value") if by == "msal" else FederatedFile("f", str(file))
    answer = _refused(entra.identity(), credential)
    assert answer == Answer(
        service=Service.ENTRA,
        step=Step.TOKEN,
        code=f"AADSTS{code}",
        text=f"AADSTS{code}: Words of Microsoft.",
        enhanced=name,
        status=status,
        request_id="trace-1",
    )


def test_unknown_tenant_is_told_by_the_discovery_document(entra):
    entra.discovery = _error(400, "invalid_tenant", 90002, "Tenant 'x' not found.")
    answer = _refused(entra.identity(), ClientSecret("s", "value"))
    assert (answer.code, answer.enhanced, answer.status) == ("AADSTS90002", "invalid_tenant", 400)
    assert find(answer).id == "entra-tenant-unknown"


@pytest.mark.parametrize(("status", "row"), [(429, "entra-throttled"), (503, "entra-unavailable")])
def test_transient_answers_come_back_at_once_with_their_retry_after(entra, status, row):
    entra.reply = lambda form: type("R", (), {"status": status, "body": "busy", "headers": {"Retry-After": "17"}})()
    answer = _refused(entra.identity(), ClientSecret("s", "value"))
    assert (answer.status, answer.retry_after) == (status, 17.0)
    assert find(answer).id == row
    assert len(entra.forms) == 1  # azure-core did not try again on its own


def test_nothing_listens(entra):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cloud = entra.cloud(authority=f"https://127.0.0.1:{port}")
    answer = _refused(entra.identity(cloud=cloud), ClientSecret("s", "value"))
    assert (answer.service, answer.step, answer.code) == (Service.NETWORK, Step.TOKEN, "refused")
    assert f"127.0.0.1:{port}" in answer.text


def test_name_does_not_resolve(entra):
    cloud = entra.cloud(authority="https://no-such-host.invalid")
    answer = _refused(entra.identity(cloud=cloud), ClientSecret("s", "value"))
    assert (answer.service, answer.code) == (Service.NETWORK, "resolve")


def test_certificate_of_an_unknown_authority(entra):
    answer = _refused(entra.identity(cloud=entra.cloud(ca_file="")), ClientSecret("s", "value"))
    assert (answer.service, answer.code) == (Service.NETWORK, "certificate")
    assert find(answer).id == "certificate-authority"


def test_certificate_for_another_name(entra):
    port = entra.url.rsplit(":", 1)[1]
    cloud = entra.cloud(authority=f"https://127.0.0.2:{port}")
    with socket.create_server(("127.0.0.2", 0)) as forward:
        own = forward.getsockname()[1]
        thread = threading.Thread(target=_forward_once, args=(forward, int(port)))
        thread.start()
        cloud = entra.cloud(authority=f"https://127.0.0.2:{own}")
        answer = _refused(entra.identity(cloud=cloud), ClientSecret("s", "value"))
        thread.join()
    assert find(answer).id == "certificate-name"


def _forward_once(listener: socket.socket, port: int) -> None:
    with listener.accept()[0] as near, socket.create_connection(("127.0.0.1", port)) as far:
        back = threading.Thread(target=_copy, args=(far, near))
        back.start()
        _copy(near, far)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_ca_file_that_is_not_there(entra):
    answer = _refused(entra.identity(cloud=entra.cloud(ca_file="/no/such/ca.pem")), ClientSecret("s", "value"))
    assert find(answer).id == "certificate-file"


def test_plain_answer_where_tls_was_expected(entra):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            with server.accept()[0] as peer:
                peer.sendall(b"220 mail.example.org ESMTP\r\n")
                peer.recv(4096)

        thread = threading.Thread(target=greet)
        thread.start()
        cloud = entra.cloud(authority=f"https://127.0.0.1:{server.getsockname()[1]}")
        answer = _refused(entra.identity(cloud=cloud), ClientSecret("s", "value"))
        thread.join()
    assert find(answer).id == "tls-plain-answer"


def test_environment_overrides_neither_authority_nor_proxy(entra, monkeypatch, tmp_path):
    """msal's own `verify=` loses against REQUESTS_CA_BUNDLE; ours must not."""
    other = tmp_path / "other.pem"
    other.write_text(make_certificate("other", days=2).public_pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(other))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    identity = entra.identity()
    assert ask(identity, identity.credentials[0], RESOURCE).claims.audience == RESOURCE


def test_the_premise_msal_alone_does_lose_against_the_environment(entra, monkeypatch, tmp_path):
    other = tmp_path / "other.pem"
    other.write_text(make_certificate("other", days=2).public_pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with pytest.raises(Exception, match="certificate verify failed"):
        msal.ConfidentialClientApplication(
            entra.identity().client_id,
            client_credential="value",
            authority=f"{entra.url}/{entra.identity().tenant}",
            instance_discovery=False,
            verify=str(entra.ca_file),
        ).acquire_token_for_client([f"{RESOURCE}/.default"])


def test_http_proxy_is_used_and_its_password_is_not_told(entra):
    seen = []
    port = int(entra.url.rsplit(":", 1)[1])

    def proxy(listener):
        with listener.accept()[0] as near:
            head = near.recv(65536)
            seen.append(head)
            with socket.create_connection(("127.0.0.1", port)) as far:
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_copy, args=(far, near))
                back.start()
                _copy(near, far)
                back.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=proxy, args=(listener,))
        thread.start()
        address = f"http://someone:topsecret@127.0.0.1:{listener.getsockname()[1]}"
        identity = entra.identity(proxy=address)
        ask(identity, identity.credentials[0], RESOURCE)
        thread.join()
    assert seen[0].startswith(f"CONNECT localhost:{port}".encode())
    assert "topsecret" not in repr(identity)


def test_socks_proxy_resolves_on_the_far_side(entra):
    """SOCKS5 with address type 3 (a name): RFC 1928 section 4."""
    port, seen = int(entra.url.rsplit(":", 1)[1]), []

    def proxy(listener):
        with listener.accept()[0] as near:
            near.recv(2 + 255)
            near.sendall(b"\x05\x00")
            seen.append(near.recv(300))
            with socket.create_connection(("127.0.0.1", port)) as far:
                near.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
                back = threading.Thread(target=_copy, args=(far, near))
                back.start()
                _copy(near, far)
                back.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=proxy, args=(listener,))
        thread.start()
        identity = entra.identity(proxy=f"socks5://127.0.0.1:{listener.getsockname()[1]}")
        ask(identity, identity.credentials[0], RESOURCE)
        thread.join()
    assert seen[0][:5] == b"\x05\x01\x00\x03\x09"
    assert seen[0][5:14] == b"localhost"


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_proxy_that_is_down_is_the_proxys_fault(entra, scheme):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    identity = entra.identity(proxy=f"{scheme}://someone:topsecret@127.0.0.1:{port}")
    answer = _refused(identity, ClientSecret("s", "value"))
    assert (answer.service, answer.code) == (Service.NETWORK, "proxy")
    assert "topsecret" not in answer.text


def test_damaged_certificate_is_named_without_asking(entra):
    answer = _refused(entra.identity(), Certificate("c", "-----BEGIN NONSENSE-----"))
    assert answer.code == "credential"
    assert "certificate" in answer.text
    assert not entra.forms


def test_secrets_stay_out_of_repr_exceptions_and_logs(entra, caplog):
    entra.reply = lambda form: _error(401, "invalid_client", 7000215, "no")
    made = make_certificate("x", days=2)
    key_line = made.pem_with_key.splitlines()[3]
    credentials = ClientSecret("s", "planted-secret~1"), Certificate("c", made.pem_with_key, "planted-password")
    with caplog.at_level(logging.DEBUG):
        for credential in credentials:
            with pytest.raises(Refused) as caught:
                ask(entra.identity(credential), credential, RESOURCE)
            told = repr(caught.value) + repr(caught.value.answer) + repr(entra.identity(credential)) + caplog.text
            assert not [secret for secret in ("planted-secret~1", "planted-password", key_line) if secret in told]


@pytest.mark.parametrize("by", ["msal", "own"])
@pytest.mark.parametrize("body", ["<html>Welcome to the hotel</html>", '{"access_token": 1}', "{}", "[]", ""])
def test_a_page_in_place_of_a_token_is_no_token(entra, tmp_path, body, by):
    entra.reply = lambda form: type("R", (), {"status": 200, "body": body, "headers": {}})()
    file = tmp_path / "token"
    file.write_text("a.b.c")
    answer = _refused(entra.identity(), ClientSecret("s", "v") if by == "msal" else FederatedFile("f", str(file)))
    assert (answer.code, answer.status) == ("HTTP200", 200)
    assert "proxy" in answer.text


@pytest.mark.parametrize(
    "body", ["", "<html>", "[]", "3", '{"error": null}', '{"error_codes": "x"}', '{"error_codes": []}']
)
def test_any_body_becomes_an_answer(body):
    answer = answer_of(502, body, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert answer.code == "HTTP502"
    assert answer.retry_after is None
