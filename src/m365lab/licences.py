"""The licences that the tenant has bought. A user's mailbox needs one with Exchange in it; a shared mailbox none."""

from __future__ import annotations

from dataclasses import dataclass

EXCHANGE_PLAN = "EXCHANGE_S_STANDARD"


@dataclass(frozen=True)
class Sku:
    """A product, with ids from Microsoft's list "Product names and service plan identifiers" [U]."""

    part_number: str
    id: str
    plans: dict[str, str]
    """Service plans by name, with their ids."""
    bought: int = 25


BUSINESS_BASIC = Sku(
    "O365_BUSINESS_ESSENTIALS",
    "3b555118-da6a-4418-894f-7df1e2096870",
    {EXCHANGE_PLAN: "9aaf7827-d63c-4b61-89c3-182f06f82e5c"},
)
FLOW_FREE = Sku("FLOW_FREE", "f30db892-07e9-47e9-837c-80727f46fd3d", {}, 10_000)
"""A product without Exchange: having a licence is not yet having a mailbox."""
SKUS = {sku.part_number: sku for sku in (BUSINESS_BASIC, FLOW_FREE)}


def has_exchange(part_numbers: list[str]) -> bool:
    """True when one of the licences brings a mailbox."""
    return any(number in SKUS and EXCHANGE_PLAN in SKUS[number].plans for number in part_numbers)
