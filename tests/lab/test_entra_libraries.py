"""The vendor's own libraries get tokens from the lab: azure-identity and msal, each with every kind of credential."""

from __future__ import annotations

import threading
from typing import Any

import jwt
import msal
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DeviceCodeCredential,
)
from cryptography.hazmat.primitives import hashes

from support.key_pairs import KeyPair, key_pair
from support.lab import RunningLab

MAIL = "https://outlook.office365.com"
GRAPH = "https://graph.microsoft.com"
GRAPH_COMMAND_LINE = "14d82eec-204b-4c2f-b7e8-296a70dab67e"


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return key_pair()


def azure(lab: RunningLab) -> dict[str, Any]:
    """What azure-identity needs to trust the lab."""
    return {
        "authority": lab.cloud["authority"],
        "disable_instance_discovery": True,
        "connection_verify": lab.ca_file,
    }


def msal_client(lab: RunningLab, credential: Any, **more: Any) -> msal.ConfidentialClientApplication:
    http = requests.Session()
    http.trust_env = False
    http.verify = lab.ca_file
    return msal.ConfidentialClientApplication(
        lab.application["client_id"],
        client_credential=credential,
        authority=f"{lab.cloud['authority']}/{lab.tenant_id}",
        instance_discovery=False,
        http_client=http,
        **more,
    )


def claims(token: str) -> dict[str, Any]:
    """Read as Exchange's clients can: the signature is not theirs to check."""
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def test_azure_identity_with_secret_gets_a_mail_token(lab: RunningLab) -> None:
    application = lab.application
    credential = ClientSecretCredential(
        lab.tenant_id, application["client_id"], application["client_secret"], **azure(lab)
    )
    token = credential.get_token(f"{MAIL}/.default").token
    read = claims(token)
    assert read["aud"] == MAIL
    assert read["roles"] == ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]
    assert (read["oid"], read["appid"]) == (application["service_principal_id"], application["client_id"])
    assert (read["ver"], read["idtyp"], read["appidacr"]) == ("1.0", "app", "1")
    assert read["iss"] == f"https://sts.windows.net/{lab.tenant_id}/"
    assert "nonce" in jwt.get_unverified_header(token)


def test_the_domain_names_the_tenant_too(lab: RunningLab) -> None:
    application = lab.application
    credential = ClientSecretCredential(
        lab.domain, application["client_id"], application["client_secret"], **azure(lab)
    )
    assert claims(credential.get_token(f"{GRAPH}/.default").token)["roles"] == ["Mail.ReadWrite", "Mail.Send"]


def test_azure_identity_with_certificate(lab: RunningLab, pair: KeyPair) -> None:
    application = lab.application
    lab.control("POST", f"/applications/{application['object_id']}/certificates", {"certificate": pair.certificate})
    credential = CertificateCredential(
        lab.tenant_id, application["client_id"], certificate_data=pair.pem.encode(), **azure(lab)
    )
    assert claims(credential.get_token(f"{MAIL}/.default").token)["appidacr"] == "2"


def test_azure_identity_with_federated_assertion(lab: RunningLab) -> None:
    application = lab.application
    minted = lab.control("POST", "/federated-token", {"subject": "system:serviceaccount:mail:postroom"})
    lab.control(
        "POST",
        f"/applications/{application['object_id']}/federated",
        {"issuer": minted["issuer"], "subject": "system:serviceaccount:mail:postroom"},
    )
    credential = ClientAssertionCredential(
        lab.tenant_id, application["client_id"], func=lambda: minted["token"], **azure(lab)
    )
    assert claims(credential.get_token(f"{MAIL}/.default").token)["roles"]


def test_azure_identity_reports_a_wrong_secret_in_microsofts_words(lab: RunningLab) -> None:
    application = lab.application
    credential = ClientSecretCredential(lab.tenant_id, application["client_id"], application["secret_id"], **azure(lab))
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215: Invalid client secret provided"):
        credential.get_token(f"{MAIL}/.default")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_msal_with_certificate(lab: RunningLab, pair: KeyPair, algorithm: str) -> None:
    lab.control("POST", f"/applications/{lab.application['client_id']}/certificates", {"certificate": pair.certificate})
    credential: dict[str, str] = {"private_key": pair.key}
    if algorithm == "sha1":
        credential["thumbprint"] = pair.thumbprint(hashes.SHA1()).hex()
    else:
        credential["public_certificate"] = pair.certificate
    answer = msal_client(lab, credential).acquire_token_for_client([f"{MAIL}/.default"])
    assert claims(answer["access_token"])["appidacr"] == "2"
    assert answer["token_type"] == "Bearer"


def test_msal_with_secret_says_how_long_the_token_lives(lab: RunningLab) -> None:
    answer = msal_client(lab, lab.application["client_secret"]).acquire_token_for_client([f"{MAIL}/.default"])
    assert answer["expires_in"] == 3599
    read = claims(answer["access_token"])
    assert read["exp"] - read["iat"] == 3600


def test_azure_identity_with_device_code_for_an_administrator(lab: RunningLab) -> None:
    told: dict[str, str] = {}
    shown = threading.Event()

    def prompt(address: str, code: str, _: Any) -> None:
        told.update(address=address, code=code)
        lab.control("POST", f"/device-codes/{code}", {"user": lab.administrator["upn"]})
        shown.set()

    credential = DeviceCodeCredential(GRAPH_COMMAND_LINE, tenant_id=lab.tenant_id, prompt_callback=prompt, **azure(lab))
    record = credential.authenticate(scopes=[f"{GRAPH}/Application.ReadWrite.All"])
    assert shown.is_set()
    assert told["address"].startswith(lab.cloud["authority"])
    assert record.username == lab.administrator["upn"]
    read = claims(credential.get_token(f"{GRAPH}/Application.ReadWrite.All").token)
    assert "Application.ReadWrite.All" in read["scp"].split()
    assert "roles" not in read
    assert read["upn"] == lab.administrator["upn"]
    assert read["wids"] == ["62e90394-69f5-4237-9190-012177145e10"]


def test_msal_refreshes_a_persons_token_for_another_resource(lab: RunningLab) -> None:
    http = requests.Session()
    http.trust_env = False
    http.verify = lab.ca_file
    client = msal.PublicClientApplication(
        "fb78d390-0c51-40cd-8e17-fdbfab77341b",
        authority=f"{lab.cloud['authority']}/organizations",
        instance_discovery=False,
        http_client=http,
    )
    flow = client.initiate_device_flow([f"{GRAPH}/.default"])
    lab.control("POST", f"/device-codes/{flow['user_code']}", {"user": "megan@contoso.example"})
    assert client.acquire_token_by_device_flow(flow)["id_token_claims"]["preferred_username"] == "megan@contoso.example"
    account = client.get_accounts()[0]
    answer = client.acquire_token_silent([f"{MAIL}/.default"], account)
    assert claims(answer["access_token"])["aud"] == MAIL
    assert "AdminApi.AccessAsUser.All" in claims(answer["access_token"])["scp"]


def test_own_public_client_needs_consent_which_an_administrator_gives(lab: RunningLab) -> None:
    made = lab.control("POST", "/applications", {"name": "Kiosk", "public_client": True, "secret": False})
    http = requests.Session()
    http.trust_env = False
    http.verify = lab.ca_file

    def sign_in(user: str) -> dict[str, Any]:
        client = msal.PublicClientApplication(
            made["app_id"],
            authority=f"{lab.cloud['authority']}/{lab.tenant_id}",
            instance_discovery=False,
            http_client=http,
        )
        flow = client.initiate_device_flow([f"{GRAPH}/User.Read.All"])
        lab.control("POST", f"/device-codes/{flow['user_code']}", {"user": user})
        answer: dict[str, Any] = client.acquire_token_by_device_flow(flow)
        return answer

    assert sign_in("megan@contoso.example")["error_codes"] == [65001]
    assert "access_token" in sign_in(lab.administrator["upn"])
    assert claims(sign_in("megan@contoso.example")["access_token"])["scp"] == "User.Read.All"
