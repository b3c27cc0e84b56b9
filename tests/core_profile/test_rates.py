"""The rates file: minor units of every size, and errors that say where."""

from pathlib import Path

import pytest

from pipeline.core.currencies import EXPONENTS, parse_rates

ROOT = Path(__file__).parents[2]


def test_rates_are_between_minor_units() -> None:
    money = parse_rates('billing = "CNY"\n[rates]\nUSD = 7.0\nJPY = 0.05\nKWD = 23\n', "rates.toml")
    assert money.billing == "CNY"
    assert money.rates["CNY"] == 1.0
    assert money.rates["USD"] == 7.0
    assert money.rates["JPY"] == pytest.approx(5.0)  # 1 yen = 5 fen
    assert money.rates["KWD"] == pytest.approx(2.3)  # 1,000 fils = 2,300 fen


def test_the_file_that_is_shipped_is_usable() -> None:
    money = parse_rates((ROOT / "config/rates.toml").read_text(), "config/rates.toml", "CNY")
    assert len(money.rates) >= 25
    assert len(EXPONENTS) > 150


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ('billing = "CNY"\n[rates\n', "r.toml:2: not valid TOML"),
        ("[rates]\nUSD = 7.0\n", "r.toml:1: billing must be"),
        ('\nbilling = "RMB"\n', "r.toml:2: billing must be"),
        ('billing = "CNY"\n\n[rates]\nUSD = 7.0\nXYZ = 1.0\n', "r.toml:5: 'XYZ' is no ISO 4217 code"),
        ('billing = "CNY"\n[rates]\nUSD = -7.0\n', "r.toml:3: the rate of USD must be"),
        ('billing = "CNY"\n[rates]\nUSD = "7"\n', "r.toml:3: the rate of USD must be"),
        ('billing = "CNY"\n[rates]\nUSD = nan\n', "r.toml:3: the rate of USD must be"),
        ('billing = "CNY"\n[rates]\nCNY = 2\n', "r.toml:3: CNY is the billing currency itself"),
        ('billing = "CNY"\nrate = 1\n', "r.toml:2: unknown key 'rate'"),
        ('billing = "CNY"\nrates = 1\n', "r.toml:2: rates must be a table"),
        ('billing = "USD"\n', "r.toml:1: rates are in USD, but the billing currency is set to CNY"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, start: str) -> None:
    with pytest.raises(ValueError, match="toml") as error:
        parse_rates(text, "r.toml", "CNY")
    assert str(error.value).startswith(start)
