"""Twilio's signatures, by the vectors of Twilio's own library.

Vectors: twilio-python, tests/unit/test_request_validator.py (MIT), auth token "12345"; the first also stands in
Twilio's documentation of request validation.
"""

import pytest

from pipeline.core.twilio_signature import NotSigned, signature, verify_form

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
BODY = b'{"property": "value", "boolean": true}'
BODY_URL = URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


def test_published_signature_of_a_form() -> None:
    assert signature(TOKEN, URL, FORM) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_published_signature_of_a_form_with_a_repeated_name() -> None:
    form = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234")]
    assert signature(TOKEN, URL, form) == "IK+Dwps556ElfBT0I3Rgjkr1wJU="


@pytest.mark.parametrize(
    ("url", "given"),
    [
        (URL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL.replace(".com", ".com:1234"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL.replace(".com", ".com:1234").replace("https", "http"), "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (URL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL.replace("https", "http"), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    ],
)
def test_published_signatures_hold_with_and_without_port(url: str, given: str) -> None:
    verify_form(TOKEN, [url], FORM, given)
    with pytest.raises(NotSigned):
        verify_form(TOKEN, [url], [*FORM, ("X", "")], given)


@pytest.mark.parametrize("given", ["", "RSOYDt4T1cUTdK1PDd93/VVr8B9=", "é\udc80"])
def test_other_signatures_are_refused(given: str) -> None:
    with pytest.raises(NotSigned):
        verify_form(TOKEN, [URL], FORM, given)


def test_another_token_is_refused() -> None:
    with pytest.raises(NotSigned):
        verify_form("12346", [URL], FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
