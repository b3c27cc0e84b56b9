"""Which digits may be a card or a phone number, and how to make them unreadable.

Two questions with different costs of being wrong. *Is this a clear card number?* decides whether a transaction is
refused, so it asks for much: 13–19 digits, the Luhn check digit, and the prefix of a card scheme with a length that
scheme issues; a tenth of all numeric merchant and transaction numbers pass Luhn by chance. *May this be shown?* only
blurs text, so it asks for little: any run of digits as long as a card or phone number is masked, valid or not.
"""

import re

_SEPARATORS = "[ \\t\u00a0\u2007\u202f\u2010-\u2015-]{0,3}"
"""What people put between the groups of a number: at most three blanks or dashes."""

_RUN = re.compile(rf"\+?\d(?:{_SEPARATORS}\d){{9,}}")
_CARD_RUN = re.compile(rf"(?<!\w)\d(?:{_SEPARATORS}\d){{12,}}(?!\w)", re.ASCII)
_UNICODE_CARD_RUN = re.compile(rf"(?<!\w)\d(?:{_SEPARATORS}\d){{12,}}(?!\w)")

CARD_DIGITS = range(13, 20)
PHONE_DIGITS = range(8, 16)
"""E.164: at most 15 digits; the shortest numbers in use with a country code have 8."""

MAX_PAYLOAD_CHARACTERS = 500

ISSUERS: tuple[tuple[str, range, tuple[int, ...]], ...] = (
    # scheme, first digits (a range of equally long prefixes), lengths issued
    ("Visa", range(4, 5), (13, 16, 19)),
    ("Mastercard", range(51, 56), (16,)),
    ("Mastercard", range(2221, 2721), (16,)),
    ("American Express", range(34, 35), (15,)),
    ("American Express", range(37, 38), (15,)),
    ("UnionPay", range(62, 63), (16, 17, 18, 19)),
    ("UnionPay", range(81, 82), (16, 17, 18, 19)),
    ("JCB", range(3528, 3590), (16, 17, 18, 19)),
    ("Discover", range(6011, 6012), (16, 17, 18, 19)),
    ("Discover", range(644, 650), (16, 17, 18, 19)),
    ("Discover", range(65, 66), (16, 17, 18, 19)),
    ("Diners Club", range(300, 306), (14, 16)),
    ("Diners Club", range(3095, 3096), (14, 16)),
    ("Diners Club", range(36, 37), (14, 16, 19)),
    ("Diners Club", range(38, 40), (14, 16)),
    ("Maestro", range(5018, 5019), (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", range(5020, 5021), (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", range(5038, 5039), (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", range(5893, 5894), (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", range(6304, 6305), (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", range(6759, 6764), (13, 14, 15, 16, 17, 18, 19)),
    ("Mir", range(2200, 2205), (16, 17, 18, 19)),
    ("RuPay", range(60, 61), (16,)),
    ("RuPay", range(508, 509), (16,)),
    ("RuPay", range(353, 354), (16,)),
    ("RuPay", range(356, 357), (16,)),
)
"""Prefixes (ISO/IEC 7812 issuer identification numbers) by scheme. A scheme missing here is not recognised outside the
``card`` field, where Luhn alone decides."""

_PREFIXES = frozenset(
    (str(prefix), length) for _, prefixes, lengths in ISSUERS for prefix in prefixes for length in lengths
)
_PREFIX_LENGTHS = (1, 2, 3, 4)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn_valid(digits: str) -> bool:
    """Whether the last of ``digits`` (decimal digits only) is their check digit (ISO/IEC 7812-1, annex B)."""
    values = [int(digit) for digit in digits[::-1]]
    return (sum(values[::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0


def is_card_number(text: str) -> bool:
    """Whether ``text``, spaces and dashes removed, is 13–19 digits and Luhn-valid: what ``card`` must never hold."""
    digits = re.sub(r"[\s-]", "", text)
    return len(digits) in CARD_DIGITS and digits.isdecimal() and luhn_valid(digits)


def plausible_card_number(digits: str) -> bool:
    """Whether decimal ``digits`` have a scheme's prefix, a length that scheme issues, and the right check digit."""
    length = len(digits)
    for n in _PREFIX_LENGTHS:
        if (digits[:n], length) in _PREFIXES:
            return luhn_valid(digits)
    return False


def holds_card_number(text: str) -> bool:
    """Whether a plausible card number stands somewhere in ``text``, on its own and not as part of a longer word.
    Digits of other scripts (full-width forms) count."""
    if text.isdecimal() and text.isascii():  # the common case, a numeric merchant number, without a search
        return len(text) in CARD_DIGITS and plausible_card_number(text)
    pattern = _CARD_RUN if text.isascii() else _UNICODE_CARD_RUN
    for run in pattern.finditer(text):
        groups = [_decimal(group) for group in re.findall(r"\d+", run.group())]
        for first in range(len(groups)):
            digits = ""
            for group in groups[first:]:
                digits += group
                if len(digits) > CARD_DIGITS[-1]:
                    break
                if len(digits) in CARD_DIGITS and plausible_card_number(digits):
                    return True
    return False


def _decimal(digits: str) -> str:
    """Digits of any script as 0–9."""
    return digits if digits.isascii() else "".join(str(int(digit)) for digit in digits)


def _keep_last(text: str, kept: int) -> str:
    """``text`` with every digit but the last ``kept`` replaced by a star; what stands between them stays."""
    hidden = sum(character.isdecimal() for character in text) - kept
    shown = []
    for character in text:
        if character.isdecimal():
            hidden -= 1
            if hidden >= 0:
                character = "*"
        shown.append(character)
    return "".join(shown)


def _mask_run(run: re.Match[str]) -> str:
    text = run.group()
    digits = sum(character.isdecimal() for character in text)
    if text[0] == "+" and digits in PHONE_DIGITS:
        return _keep_last(text, 2)
    if digits >= CARD_DIGITS.start:
        return _keep_last(text, 4)
    return _keep_last(text, 2) if digits == 11 else text


_SHORT_PHONE = re.compile(rf"\+\d(?:{_SEPARATORS}\d){{7,8}}(?!{_SEPARATORS}\d)")


def mask(text: str) -> str:
    """``text`` safe to show: of anything that may be a card number (13 digits and more, blanks or dashes between, Luhn
    or not) the last four digits stay; of phone numbers (+ and 8–15 digits, or 11 digits) the last two."""
    return _RUN.sub(_mask_run, _SHORT_PHONE.sub(lambda run: _keep_last(run.group(), 2), text))


def mask_bytes(value: bytes) -> bytes:
    """`mask` for UTF-8 bytes; what can't be decoded becomes �."""
    return mask(value.decode("utf-8", "replace")).encode()


_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[bfnrt/])")
_LONG_RUN = re.compile(r"\d{7,}")
_BROKEN_RUN = re.compile(r"""\d(?:(?:_|[^\w"',:\[\]{}]){0,16}\d){8,}""")
"""Sixteen: a blank, a dash and a blank between two digits take fifteen characters when a UTF-32 text is read as UTF-8."""


def _unescape(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return " "
    code = int(escape[1], 16)
    return escape[0] if 0xD800 <= code <= 0xDFFF else chr(code)  # half a character can't be written again


def _mask_any(run: re.Match[str]) -> str:
    digits = sum(character.isdecimal() for character in run.group())
    return _keep_last(run.group(), 4 if digits >= CARD_DIGITS.start else 2)


def masked_payload(value: bytes) -> str:
    """The beginning of an unusable message, for people to recognise it by: at most 500 characters, undecodable bytes
    as �, JSON escapes read. A bad message may hold anything anywhere, so every run of seven digits and more is masked,
    and of nine and more where anything but a letter, quote, bracket, comma or colon stands between them (a UTF-16 text
    has zero bytes there)."""
    head = value[: 5 * MAX_PAYLOAD_CHARACTERS].decode("utf-8", "replace")
    head = _ESCAPED.sub(_unescape, head)
    return _LONG_RUN.sub(_mask_any, _BROKEN_RUN.sub(_mask_any, head))[:MAX_PAYLOAD_CHARACTERS]
