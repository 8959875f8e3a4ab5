"""What servers say when mail does not arrive, in the languages they say it in. Data for `bounces`."""

from __future__ import annotations

import re

GONE = re.compile(
    r"user unknown|unknown (?:user|recipient|local)|no such (?:user|mailbox|recipient|person)|does ?n[o']t exist"
    r"|does ?n[o']t have an? .{1,40}account"
    r"|not found|account (?:that you tried|is disabled|has been disabled|inactive)|invalid (?:recipient|mailbox|user)"
    r"|no mailbox|mailbox unavailable|recipient (?:address )?rejected: (?:undeliverable|access denied|unknown)"
    r"|recipientnotfound|unrouteable address|address rejected|couldn't be found|wasn't found|not listed in"
    r"|no longer (?:valid|available|works|active)|host (?:or domain name )?not found|nullmx|domain not found"
    r"|unbekannt|existiert nicht|nicht gefunden|n'existe pas|inconnu|introuvable|no existe|desconocid|não existe"
    r"|desconhecid|non esiste|sconosciut|bestaat niet|onbekend|存在しません|見つかりません|宛先不明|غير موجود",
    re.IGNORECASE,
)
FULL = re.compile(
    r"(?:mailbox|inbox|quota)[^.;]{0,40}(?:full|exceeded)|over ?quota|quota ?exceeded|insufficient (?:system )?storage"
    r"|postfach[^.;]{0,30}voll|boîte[^.;]{0,40}pleine|buzón[^.;]{0,30}lleno|caixa[^.;]{0,30}cheia"
    r"|casella[^.;]{0,30}piena|postvak[^.;]{0,30}vol\b|容量",
    re.IGNORECASE,
)
FAILED_SUBJECT = re.compile(
    r"undeliver|delivery (?:status notification|failure|has failed|problem)|failure notice|returned mail"
    r"|mail delivery (?:failed|failure|system)|returning message to sender|could(?: not|n.t) be delivered"
    r"|nondeliverable|unzustellbar|nicht zugestellt|zustellung fehlgeschlagen|non remis"
    r"|échec de (?:la )?remise|non délivré"
    r"|no se puede entregar|no se (?:ha )?(?:pudo|podido) entregar|error de entrega|não (?:foi )?(?:é possível )?entreg"
    r"|falha na entrega|配信不能|配信できません|送信できません|未達|non recapitabile|mancato recapito"
    r"|onbestelbaar|kan niet worden bezorgd|تعذر التسليم|غير قابل للتسليم|недоставлен|无法投递|退信",
    re.IGNORECASE,
)
WAITING = re.compile(
    r"\bdelay|warning: could not send|still being retried|verzöger|retardé|retrasad|demorad|atrasad|in ritardo"
    r"|vertraagd|遅延",
    re.IGNORECASE,
)
