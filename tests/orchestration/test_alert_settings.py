"""TAKER_ALERT_*: what is refused, in words that never quote the receiver's address, and who gets it."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from orchestration.config.settings import SettingsError, load_settings
from orchestration.runs.demo import demo_settings

NAME = "TAKER_ALERT_WEBHOOK_URL"
GOOD = "https://hooks.example.com/services/T0/B0/geheim"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_any_nobody_is_told_and_the_rest_has_defaults() -> None:
    settings = load_settings()
    assert settings.alert_webhook_url is None
    assert (settings.alert_definition, settings.alert_rank) == ("4h_usd", 3)
    assert settings.alert_liquidation_percentile == 0.99


@pytest.mark.parametrize("value", ["", "off", "OFF"])
def test_off_is_nobody(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, value)
    assert load_settings().alert_webhook_url is None


@pytest.mark.parametrize(
    "value",
    [
        "hooks.example.com/services/geheim",
        "ftp://hooks.example.com/geheim",
        "https:///geheim",
        "https://hooks.example.com:99999/geheim",
        "https://[hooks/geheim",
        "https://hooks.example.com/geheim and more",
        "https://hooks.example.com/geheim\r\nX: y",
        "https://hooks.example.com/gehe\u00efm-geheim",
    ],
)
def test_a_wrong_address_is_one_sentence_that_does_not_quote_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, value)
    with pytest.raises(SettingsError, match="or `off`") as refused:
        load_settings()
    assert str(refused.value).startswith(f"{NAME}: it ")
    assert "geheim" not in "".join(traceback.format_exception(refused.value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TAKER_ALERT_RANK", "0", "write a whole number from 1"),
        ("TAKER_ALERT_RANK", "third", "write a whole number from 1"),
        ("TAKER_ALERT_RANK", "2.5", "write a whole number from 1"),
        ("TAKER_ALERT_LIQUIDATION_PERCENTILE", "99", "a share between 0 and 1"),
        ("TAKER_ALERT_LIQUIDATION_PERCENTILE", "high", "a share between 0 and 1"),
        ("TAKER_ALERT_LIQUIDATION_PERCENTILE", "nan", "a share between 0 and 1"),
        ("TAKER_ALERT_DEFINITION", "4h usd", "one of dim_spike_definitions"),
    ],
)
def test_a_wrong_value_says_what_is_allowed(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings()
    assert str(refused.value).startswith(f"{name}: `{value}`")


def test_the_address_is_not_shown_and_goes_on_to_processes_of_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(alert_webhook_url=GOOD, alert_rank=5, alert_liquidation_percentile=0.995)
    assert "geheim" not in f"{settings!r} {settings}"
    silent = load_settings().environment()
    assert silent[NAME] == "off"
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings
    (tmp_path / ".env").write_text(f"{NAME}={GOOD}\n")
    for name, value in silent.items():
        monkeypatch.setenv(name, value)
    assert load_settings().alert_webhook_url is None


def test_simulated_numbers_wake_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, GOOD)
    assert demo_settings().alert_webhook_url is None
