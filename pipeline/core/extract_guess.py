"""A first mapping from the header of an extract: which column could be which field, by its name."""

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from pipeline.core.extract_mapping import REQUIRED, FileForm
from pipeline.core.masking import masked_payload

NAMES: Final = MappingProxyType({
    "id": r"(transaktions?|buchungs?|auth)?.?(id|nr|nummer)|(txn|trans\w*|tx).?(id|no|ref\w*)|rrn|交易(流水)?号|流水号",
    "card": r"(card|pan|karte)\w*.?(no|num\w*|nr|nummer)?|pan|卡号",
    "time": r"(trans\w*|txn|tx|auth\w*)?.?(date|time|timestamp|datetime).*|(buchungs|transaktions)?(datum|zeit\w*)|(交易)?(时间|日期)",
    "amount": r"(trans\w*|txn|tx)?.?(amount|amt)|betrag|umsatz|(交易)?金额",
    "currency": r"(currency|curr|ccy)\w*.*|währung\w*|(交易)?币种|货币",
    "merchant": r"(merchant|mid|h[aä]ndler)\w*.?(id|no|nr|nummer)?|商户(号|编号|代码)",
    "merchant_name": r"merchant.?name|h[aä]ndlername|商户名称?",
    "terminal": r"(terminal|tid|pos)\w*.?(id|no|nr)?|终端(号|编号)",
    "mcc": r"mcc|merchant.?category.*|branche\w*|商户类别\w*|行业代码",
    "country": r"(merchant|trans\w*)?.?country.*|land|l[aä]nder\w*|国家\w*|交易国家",
    "city": r"city|ort|stadt|城市",
    "entry_mode": r"(pos.?)?entry.?mode|eingabe\w*|输入方式",
    "customer": r"(customer|client|kunde\w*).?(id|no|nr)?|客户号",
    "response_code": r"(response|resp)\w*.?(code)?|antwort\w*|(响应|应答)码",
    "fraud": r"(is.?)?fraud\w*.*|betrug\w*|class|label|(是否)?欺诈\w*",
})  # fmt: skip
"""Field → how columns of it are called in English, German and Chinese extracts."""


def guess_mapping(header: Sequence[str], form: FileForm) -> str:
    """A mapping as TOML text, to be corrected by people. Column names are shown masked, should one be a number."""
    lines = ["[file]", f'encoding = "{form.encoding}"', f'delimiter = "{_escaped(form.delimiter)}"', "", "[fields]"]
    free = list(header)
    for field, pattern in NAMES.items():
        column = next((name for name in free if re.fullmatch(pattern, name.strip().lower())), None)
        if column is not None:
            free.remove(column)
            lines.append(f'{field} = "{_escaped(masked_payload(column.strip().encode()))}"')
        elif field in REQUIRED:
            lines.append(f'# {field} = "…"  # not found: name its column')
    if free:
        lines += ["", "# not used: " + masked_payload(", ".join(free).replace("\n", " ").encode())]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
