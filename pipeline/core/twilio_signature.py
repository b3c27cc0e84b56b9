"""Whether a request comes from Twilio: the header ``X-Twilio-Signature``.

The signature is the base64 of HMAC-SHA1, keyed with the account's primary auth token, over the address Twilio was given,
followed by every form parameter, sorted by name, as name and value without separators. A body that is no form is covered
by its SHA-256 in the address's ``bodySHA256``. (https://www.twilio.com/docs/usage/security#validating-requests)

What the scheme leaves open, and who closes it. There is no time in it: a captured request may be sent again, so whoever
takes the reports must not mind hearing one twice. Nothing stands between address, names and values: the end of one could
be passed off as the beginning of the next, so the receiver demands that the form's first name in order is
``AccountSid`` and its value the account: then the address ends where it seems to. Port numbers come and go: Twilio signs the address with or without the scheme's own port, so both
hold, as in Twilio's own libraries.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, urlsplit

HEADER = "X-Twilio-Signature"
FIRST_NAME = "AccountSid"
"""The first, in order, of the names in every form Twilio posts."""
_PORTS = {"https": 443, "http": 80}

Params = Sequence[tuple[str, str]]
"""Names and values of a form, in any order, repetitions included."""


class NotSigned(ValueError):
    """The request does not prove that it comes from the account's Twilio."""


def signature(token: str, url: str, params: Params) -> str:
    """What Twilio puts into the header for ``url`` and a form."""
    text = url + "".join(name + value for name, value in sorted(set(params)))
    digest = hmac.digest(token.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha1)
    return base64.b64encode(digest).decode()


def verify_form(token: str, urls: Iterable[str], params: Params, given: str) -> None:
    """Raises NotSigned unless ``given`` is the signature of the form under one of ``urls`` (ways to write the address
    that was ordered)."""
    expected = [signature(token, written, params) for url in urls for written in _with_and_without_port(url)]
    _one_of(expected, given)


def _one_of(expected: Iterable[str], given: str) -> None:
    offered = given.encode("utf-8", "replace")
    found = [hmac.compare_digest(one.encode(), offered) for one in expected]
    if not any(found):
        raise NotSigned(f"{HEADER} is missing or does not hold for this address and these parameters")


def _with_and_without_port(url: str) -> list[str]:
    """``url`` as it is, without a port, and with the scheme's own if it has none."""
    parts = urlsplit(url)
    host, port = _host_and_port(parts)
    own = _PORTS.get(parts.scheme)
    written = [url]
    if port and parts.scheme == "https":
        written.append(_written(url, parts, host))
    elif not port and own is not None:
        written.append(_written(url, parts, f"{host}:{own}"))
    return written


def _host_and_port(parts: SplitResult) -> tuple[str, str]:
    host, colon, port = parts.netloc.rpartition(":")
    return (host, port) if colon and port.isdigit() else (parts.netloc, "")


def _written(url: str, parts: SplitResult, netloc: str) -> str:
    """``url`` with another host part, and not one other character changed."""
    before = f"{parts.scheme}://"
    return before + netloc + url[len(before) + len(parts.netloc) :]
