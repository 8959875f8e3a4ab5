"""From is believed on the pinned receiver's word alone. The forgeries are in tests/corpus/forged."""

from __future__ import annotations

import pytest

from postroom.mail.authenticity import Authentic, Doubt, Doubtful, Proof, Receiver, authenticity
from postroom.mail.domains import aligned, organisation
from postroom.mail.message import Message

PINNED = Receiver("mx.contoso.example")


def message(results: str, sender: str = "Bob <bob@fabrikam.com>", more: str = "") -> Message:
    return Message(f"Authentication-Results: {results}\r\nFrom: {sender}\r\n{more}\r\nHello\r\n".encode())


@pytest.mark.parametrize(
    ("results", "by", "domain"),
    [
        ("mx.contoso.example; dmarc=pass header.from=fabrikam.com", Proof.DMARC, "fabrikam.com"),
        ("MX.Contoso.Example; dmarc=pass header.from=Fabrikam.COM.", Proof.DMARC, "fabrikam.com"),
        (
            "mx.contoso.example; dkim=fail header.d=fabrikam.com; dkim=pass header.d=mail.fabrikam.com",
            Proof.DKIM,
            "mail.fabrikam.com",
        ),
        ("mx.contoso.example; dkim=pass header.i=@fabrikam.com", Proof.DKIM, "fabrikam.com"),
        (
            "mx.contoso.example; spf=pass smtp.mailfrom=bounce@mail.fabrikam.com; dmarc=none",
            Proof.SPF,
            "mail.fabrikam.com",
        ),
    ],
)
def test_what_is_believed(results: str, by: Proof, domain: str):
    assert authenticity(message(results), PINNED) == Authentic("bob@fabrikam.com", by, domain)


def test_strict_alignment_wants_the_same_domain():
    mail = message("mx.contoso.example; dkim=pass header.d=mail.fabrikam.com")
    finding = authenticity(mail, Receiver("mx.contoso.example", strict=True))
    assert isinstance(finding, Doubtful)
    assert finding.doubt is Doubt.UNALIGNED


def test_exchange_onlines_field_has_no_id_and_is_pinned_so():
    mail = message(
        "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=fabrikam.com; dmarc=pass action=none header.from=fabrikam.com"
    )
    assert authenticity(mail, Receiver("")) == Authentic("bob@fabrikam.com", Proof.DMARC, "fabrikam.com")
    assert authenticity(mail, PINNED) == Doubtful(Doubt.FOREIGN_STAMP, "no id")


def test_without_an_id_a_second_field_refuses_the_message():
    one = "dmarc=pass header.from=fabrikam.com"
    mail = message(one, more=f"Authentication-Results: {one}\r\n")
    assert authenticity(mail, Receiver("")) == Doubtful(Doubt.SEVERAL_STAMPS)


@pytest.mark.parametrize(
    ("sender", "address"),
    [
        ("bob@fabrikam.com", "bob@fabrikam.com"),
        ('"Roe, Bob" <bob@fabrikam.com>', "bob@fabrikam.com"),
        ("=?utf-8?q?J=C3=BCrgen?= <bob@fabrikam.com>", "bob@fabrikam.com"),
        ("Bob (at home) Roe <bob@fabrikam.com> (x)", "bob@fabrikam.com"),
        ("Bob J. Roe <Bob.Roe@FABRIKAM.com>", "Bob.Roe@fabrikam.com"),
        ("Bob\r\n <bob@fabrikam.com>", "bob@fabrikam.com"),
    ],
)
def test_forms_of_from(sender: str, address: str):
    finding = authenticity(message("mx.contoso.example; dmarc=pass header.from=fabrikam.com", sender), PINNED)
    assert isinstance(finding, Authentic)
    assert finding.address == address


def test_an_international_domain_is_compared_as_it_stands_in_dns():
    mail = message("mx.contoso.example; dmarc=pass header.from=xn--bcher-kva.com", "Bob <bob@bücher.com>")
    assert authenticity(mail, PINNED) == Authentic("bob@xn--bcher-kva.com", Proof.DMARC, "xn--bcher-kva.com")


def test_a_public_suffix_is_nobodys_domain():
    finding = authenticity(message("mx.contoso.example; dmarc=pass header.from=co.uk", "x@co.uk"), PINNED)
    assert finding == Doubtful(Doubt.FROM_PUBLIC, "x@co.uk")


@pytest.mark.parametrize(
    ("domain", "whose"),
    [
        ("mail.contoso.com", "contoso.com"),
        ("a.b.contoso.co.uk", "contoso.co.uk"),
        ("co.uk", ""),
        ("contoso.onmicrosoft.com", "contoso.onmicrosoft.com"),
        ("contoso.mail.onmicrosoft.com", "contoso.mail.onmicrosoft.com"),
        ("onmicrosoft.com", ""),
        ("someone.github.io", "someone.github.io"),
        ("Bücher.example.", "xn--bcher-kva.example"),
        ("a..b", ""),
        ("", ""),
    ],
)
def test_the_organisation_behind_a_domain(domain: str, whose: str):
    assert organisation(domain) == whose


def test_two_tenants_of_one_cloud_are_not_one_organisation():
    assert not aligned("evil.onmicrosoft.com", "contoso.onmicrosoft.com")
    assert not aligned("", "")
    assert not aligned("com", "contoso.com")


@pytest.mark.parametrize(
    ("host", "believed"), [("Contoso.Example", True), ("toso.example", False), ("mx2.example", False)]
)
def test_hops_above_the_results_must_be_the_receivers_own(host: str, believed: bool):
    head = b"Received: from x by MX.contoso.example with ESMTPS; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    mail = Message(head + message("mx.contoso.example; dmarc=pass header.from=fabrikam.com").raw)
    assert isinstance(authenticity(mail, Receiver("mx.contoso.example", (host,))), Authentic) is believed
