"""What Twilio is answered while a call is on: TwiML, its XML of what to say and do next.
(https://www.twilio.com/docs/voice/twiml)"""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as xml

CONTENT_TYPE = "text/xml"
MAX_INLINE = 4_000
"""Characters of TwiML that a request to create a call may carry (its parameter ``Twiml``)."""
MAX_SAY = 4_096
"""Characters of one Say."""
KEY_WAIT_S = 10
"""How long the person has for pressing a key after the question was said."""
TIMES_SAID = 2
"""How often the question is said, unless a key is pressed meanwhile."""

SPOKEN: Mapping[str, str] = {"en": "en-US", "zh": "zh-CN"}
"""Primary language subtag → the language that is spoken where none of KNOWN is asked for."""
KNOWN = frozenset({"en-US", "en-GB", "en-AU", "en-CA", "en-IN", "zh-CN", "zh-HK", "zh-TW"})
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0, section 2.2."""


def spoken_language(language: str) -> str:
    """The language of Say for a BCP 47 tag; English where we have no words in it anyway."""
    primary, _, region = language.replace("_", "-").partition("-")
    exact = f"{primary.lower()}-{region.upper()}"
    return exact if exact in KNOWN else SPOKEN.get(primary.lower(), SPOKEN["en"])


def question(text: str, language: str, action: str) -> str:
    """Say ``text`` twice and wait for one key, any key; its POST goes to ``action``. No key: hang up."""
    response = xml.Element("Response")
    asked = {"input": "dtmf", "numDigits": "1", "finishOnKey": "", "timeout": str(KEY_WAIT_S)}
    gather = xml.SubElement(response, "Gather", asked | {"action": action, "method": "POST"})
    _say(gather, text, language).set("loop", str(TIMES_SAID))
    xml.SubElement(response, "Hangup")
    return _written(response)


def farewell(text: str | None, language: str, transfer: str | None = None) -> str:
    """Say ``text``, if there is one, then hang up; or with ``transfer`` connect the person to that number first."""
    response = xml.Element("Response")
    if text:
        _say(response, text, language)
    if transfer:
        xml.SubElement(response, "Dial").text = transfer
    xml.SubElement(response, "Hangup")
    return _written(response)


def nothing() -> str:
    """Do nothing: the answer to a message, to which we do not reply in the same breath."""
    return _written(xml.Element("Response"))


def _say(parent: xml.Element, text: str, language: str) -> xml.Element:
    say = xml.SubElement(parent, "Say", {"language": spoken_language(language)})
    say.text = _NOT_IN_XML.sub(" ", text)[:MAX_SAY]
    return say


def _written(response: xml.Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>' + xml.tostring(response, encoding="unicode")
