"""What mail programs and people write around a reply, language by language. Data for `replies`.

Languages: English, German, French, Spanish, Portuguese, Italian, Dutch, Japanese, Arabic; and the header words of
some more, as Outlook translates them.
"""

from __future__ import annotations

import re

# Gmail, Apple Mail, Thunderbird, Yahoo: the line above a quoted message ends in a colon and says that somebody wrote.
SAID = re.compile(
    r"\bwrote\b|\b(?:ge)?schrieb|\ba écrit\b|\bescribi[óo]\b|\bescreveu\b|\bha scritto\b|\bschreef\b|\bgeschreven\b"
    r"|のメール|さんは書きました"
    r"|كتب|كتابة ما يلي|\bskrev\b|\bpisze\b|\bnapisał|\bnapsal|написал|写道|작성",
    re.IGNORECASE,
)
# How it begins when it is broken over lines. In Japanese the date begins it, and nobody "wrote".
SAID_BEGINS = re.compile(
    r"(?:On|Am|Le|El|En|Em|A|Às|No dia|Il|Op|Den|W dniu|Dne|في|بتاريخ|\d{4}[年/-])(?:\b|:|(?<=[年/-]))"
)
DATED = re.compile(r"\d{4}\s?[年/-]\s?\d{1,2}\s?[月/-]\s?\d{1,2}.{2,300}[<@様]")
# The block of header lines that Outlook puts above the message it answers. First the words for From.
_SENDER = "From|Von|De|Da|Van|差出人|送信者|من|Från|Fra|Od|От|发件人|보낸 사람|Kimden|Expéditeur|Remitente|Mittente"
_OTHERS = (
    "Sent|To|Subject|Date|Cc|Reply-To|Gesendet|An|Betreff|Datum|Kopie|Envoyé|À|A|Objet|Copie à|Enviado|Enviado el"
    "|Enviada|Enviado em|Enviada em|Para|Asunto|Assunto|Fecha|Data|Inviato|Oggetto|Verzonden|Aan|Onderwerp|送信日時"
    "|日付|宛先|件名|تم الإرسال|تاريخ الإرسال|الإرسال|إلى|الموضوع|التاريخ|نسخة"
    "|Skickat|Till|Ämne|Sendt|Til|Emne|Wysłano|Do|Temat|Отправлено|Кому|Тема|发送时间|收件人|主题|抄送"
)
HEADER_SENDER = re.compile(rf"[*_]{{0,2}}(?:{_SENDER})[*_]{{0,2}}\s?[:\uff1a][*_]{{0,2}}\s*\S.*", re.IGNORECASE)
HEADER_OTHER = re.compile(rf"[*_]{{0,2}}(?:{_OTHERS})[*_]{{0,2}}\s?[:\uff1a].*", re.IGNORECASE)
SEPARATOR = re.compile(
    r"-{2,}\s?(?:Original[- ](?:Message|Nachricht)|Ursprüngliche (?:Nachricht|Mitteilung)|Message d'origine"
    r"|Message original|Mensaje original|Mensagem original|Messaggio originale|Oorspronkelijk bericht"
    r"|元のメッセージ|الرسالة الأصلية|Forwarded [Mm]essage|Weitergeleitete Nachricht|Message transféré"
    r"|Mensaje reenviado|Mensagem encaminhada|Messaggio inoltrato|Doorgestuurd bericht|転送メッセージ"
    r"|Forwarded by .{1,120}|Reply above this line.{0,40})\s?-{2,}.*"
    r"|(?:Begin forwarded message|Anfang der weitergeleiteten Nachricht|Début du message réexpédié"
    r"|Début du message transféré|Inicio del mensaje reenviado|Início da mensagem reencaminhada"
    r"|Inizio messaggio inoltrato|Begin doorgestuurd bericht|転送されたメッセージ)\s?[:\uff1a].*"
    r"|[_=\u2500-]{20,}"
    r"|_{5,}.{0,80}_{5,}|-{3,}.{1,150}[:\uff1a]\s?-{3,}"
)
# What a telephone or a free service adds below the words.
SENT_FROM = re.compile(
    r"(?:Sent (?:from|via|with) |Get Outlook for |Gesendet (?:von|mit|aus) |Von meinem .{1,40} gesendet"
    r"|Envoyé (?:de|à partir de|depuis|avec) |Télécharger Outlook pour |Obtenir Outlook pour "
    r"|Enviado (?:desde|do|a partir de|via) "
    r"|Obtener Outlook para |Obter o Outlook para |Inviato da |Scarica Outlook per |Ottieni Outlook per "
    r"|Verzonden (?:vanaf|met|vanuit) |Verstuurd vanaf |Outlook voor .{2,20} downloaden|Download Outlook voor "
    r"|iPhone\s?から送信|iPadから送信|私の.{1,20}から送信"
    r"|Outlook for (?:iOS|Android) を入手|.{1,20}から送信(?:されました)?$"
    r"|أُ?رسلت? من |تم الإرسال من |الحصول على Outlook|Holen Sie sich Outlook für |Laden Sie Outlook für "
    r"|Yahoo ?Mail|Yahooメール|Envoyé avec|Diese Nachricht wurde von meinem ).{0,200}",
    re.IGNORECASE,
)
# How letters end; the name and the firm follow.
CLOSING = re.compile(
    r"(?:(?:kind(?:est)?|best|warm(?:est)?|with (?:kind|best)) regards|regards|best(?: wishes)?|many thanks|thanks"
    r"(?: and (?:best |kind )?regards| a lot| in advance)?|thank you(?: very much)?|cheers|(?:yours )?sincerely"
    r"|yours (?:faithfully|truly)|all the best|br|kr|rgds"
    r"|mit (?:freundlichen|besten|herzlichen|vielen) grü(?:ß|ss)en|freundliche grü(?:ß|ss)e"
    r"|(?:viele|beste|liebe|schöne|herzliche) grü(?:ß|ss)e.{0,30}"
    r"|(?:mit )?(?:freundlichem|bestem|besten|schönen) gru(?:ß|ss)|gru(?:ß|ss)|mfg|vg|lg"
    r"|(?:vielen|besten|herzlichen) dank|danke(?: und gruß)?|hochachtungsvoll"
    r"|(?:bien |très )?cordialement|bien à (?:vous|toi)|(?:meilleures|sincères|cordiales) salutations|cdlt"
    r"|merci(?: beaucoup| d'avance| et bonne journée)?|bonne (?:journée|réception|soirée)|sincèrement"
    r"|(?:un |cordiales |muchos |atentos )?saludos?(?: cordiales)?|atentamente|cordialmente|atte|(?:muchas )?gracias"
    r"|(?:com os melhores |melhores |os melhores )?cumprimentos|atenciosamente|att|abraços?|(?:muito )?obrigad[oa]"
    r"|cordiali saluti|distinti saluti|un (?:cordiale )?saluto|saluti|grazie(?: mille)?"
    r"|(?:met )?(?:vriendelijke|hartelijke) groet(?:en)?|groet(?:en|jes)?|mvg|(?:hartelijk |alvast )?(?:bedankt|dank)"
    r"|(?:以上、?)?(?:どうぞ)?(?:何卒)?よろしくお願い(?:いた|致)?し(?:ます|申し上げます)|よろしくお願いします|敬具|以上"
    r"|مع (?:أطيب |خالص )?(?:التحيات|التحية|تحياتي|الشكر)|تحياتي|وتفضلوا بقبول.{0,40}|شكرا ?(?:جزيلا)?|شكرًا(?: جزيلًا)?"
    r")\s*[,\uff0c.。!،-]*",
    re.IGNORECASE,
)
# Where a firm's own words begin; all below is theirs.
DISCLAIMER = re.compile(
    r"[*_\s]*(?:(?:confidential(?:ity)?|privacy|legal|important)(?: and privileged)?"
    r" (?:notice|note|information|warning)\b"
    r"|disclaimer\b"
    r"|this (?:e-?mail|message|communication)(?: and (?:any|all|its) \S+| \(including .{1,40}\))?[ ,].{0,60}"
    r"(?:confidential|intended|privileged)|the information (?:contained )?in this (?:e-?mail|message)"
    r"|(?:please )?consider the environment"
    r"|diese (?:e-?mail|nachricht)\b.{0,60}(?:vertraulich|bestimmt)|vertraulichkeitshinweis|haftungsausschluss"
    r"|(?:sitz der gesellschaft|geschäftsführer(?:in|ung)?|registergericht|amtsgericht)\b"
    r"|ce (?:message|courriel|mail|courrier)\b.{0,80}(?:confidentiel|destin)|avis de confidentialité"
    r"|este (?:mensaje|correo|e-?mail)\b.{0,80}(?:confidencial|dirigid|destin)|aviso (?:legal|de confidencialidad)"
    r"|(?:esta mensagem|este e-?mail)\b.{0,80}(?:confidencia|destin)|aviso de confidencialidade"
    r"|(?:questo messaggio|questa e-?mail|il presente messaggio|le informazioni contenute)\b"
    r".{0,80}(?:riservat|confidenzial|destin)"
    r"|(?:dit bericht|deze e-?mail)\b.{0,80}(?:vertrouwelijk|bestemd)"
    r"|この(?:メール|電子メール|メッセージ).{0,60}(?:機密|宛|受信者)|本メール(?:に|は).{0,40}(?:機密|宛)|【?(?:機密|秘密)(?:情報|保持)"
    r"|(?:هذه الرسالة|هذا البريد|تحتوي هذه الرسالة).{0,80}(?:سري|مخصص|خاص)|إخلاء (?:مسؤولية|المسؤولية))",
    re.IGNORECASE,
)
# What a receiving server puts on top of mail from outside; the person's words stand below.
BANNER = re.compile(
    r"[\[*_<!\s\u26a0\ufe0f]*(?:external(?: e-?mail| sender| message)?\b.{0,5}[\]:*!]|caution\b"
    r"|warning: (?:external|this)"
    r"|you don['\u2019]t often get (?:e-?mail|email) from|some people who received this message don['\u2019]t often"
    r"|this (?:e-?mail|message) (?:originated|came|was sent) from (?:outside|an external)"
    r"|achtung\b.{0,20}extern|externe e-?mail|diese e-?mail (?:kommt|stammt|wurde) von (?:einem )?extern"
    r"|sie erhalten nicht (?:häufig|oft)"
    r"|attention\b.{0,30}extern|vous ne recevez pas souvent|correo externo|precaución"
    r"|no suele recibir correo|\[?e-mail externo"
    r"|não costuma receber|attenzione\b.{0,30}estern|non si ricevono spesso|let op\b.{0,30}extern|u ontvangt niet vaak"
    r"|【?(?:社外|外部)(?:メール|からの)).*",
    re.IGNORECASE,
)
