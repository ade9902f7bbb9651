"""From a fact to a receiver: sent once, never lost, and without any part of the address."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from ingestion.live.status import CollectorStatus, write_status
from orchestration.alerts import evaluation, outbox, publication
from orchestration.alerts.evaluation import Evaluation, NoReceiver, dry_run, evaluate
from orchestration.alerts.facts import Fact, Found, Kind, condition
from orchestration.alerts.outbox import Alert
from orchestration.alerts.webhook import Outcome, Webhook
from orchestration.automation import jobs as automation
from orchestration.cli.app import app
from orchestration.config.settings import Settings
from tests.support.alerting import NOW, SIMULATED, SPIKE, Clock, Marts
from tests.support.webhook import CUT, SILENCE, TOKEN, Receiver, Reply

KEY = "spike:4h_usd:binance_um:BTCUSDT:bearish:2026-01-31T16"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as running:
        yield running


@pytest.fixture
def alerting(settings: Settings, receiver: Receiver) -> Settings:
    return settings.model_copy(update={"alert_webhook_url": SecretStr(receiver.url)})


@pytest.fixture
def marts(settings: Settings) -> Marts:
    """A market that will not be stale for a year."""
    return Marts(settings.serving_path).day(date(2026, 1, 31)).day(date(2026, 12, 31))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass
class House:
    """Everything an evaluation examines, with the collector's state in the test's hands."""

    settings: Settings
    clock: Clock

    def evaluate(self, **options: Any) -> Evaluation:
        return evaluate(self.settings.alerts, clock=self.clock, **options)

    def dry_run(self) -> Evaluation:
        return dry_run(self.settings.alerts, clock=self.clock)

    def beat(self, *, is_alive: bool = True, is_stopped: bool = False) -> None:
        """The last sign of life of a collector: of now, or of five minutes ago."""
        at = self.clock.now - timedelta(minutes=0 if is_alive else 5)
        self.settings.spool_dir.mkdir(parents=True, exist_ok=True)
        status = CollectorStatus(at, at, 1, (), stopped_at=at if is_stopped else None)
        write_status(self.settings.spool_dir, status)


@pytest.fixture
def house(alerting: Settings, clock: Clock) -> House:
    return House(alerting, clock)


def keys(alerts: tuple[Alert, ...]) -> list[str]:
    return [alert.key for alert in alerts]


class TestOnce:
    def test_a_spike_is_sent_as_slack_takes_it(self, house: House, marts: Marts, receiver: Receiver) -> None:
        marts.spike().publish()
        done = house.evaluate()
        assert (keys(done.new), done.undelivered, done.delivery.delivered) == ([KEY], (), 1)
        (message,) = receiver.taken
        assert message["idempotency_key"] == KEY
        assert receiver.headers[0]["Idempotency-Key"] == KEY
        assert message["text"].startswith("binance_um:BTCUSDT: bearish spike under 4h_usd, rank 3 of 4380 bars")
        assert "takers sold &lt;more&gt;." in message["text"]
        assert message["text"].endswith("\nFirst seen 2026-02-01 00:30 UTC.")

    def test_a_known_one_is_never_sent_again(self, house: House, marts: Marts, receiver: Receiver) -> None:
        marts.spike().publish()
        house.evaluate()
        marts.spike(SPIKE + timedelta(days=-3), 9).publish()
        house.clock.forward(minutes=1)
        again = house.evaluate()
        assert (again.new, [alert.key for _, alert in again.known]) == ((), [KEY])
        assert receiver.keys_taken == [KEY]

    def test_neither_is_it_when_it_turns_out_to_be_an_event(
        self, house: House, settings: Settings, marts: Marts, receiver: Receiver
    ) -> None:
        marts.spike().publish()
        house.evaluate()
        Marts(settings.serving_path).spike(event=(True, 3)).day(date(2026, 12, 31)).publish()
        house.clock.forward(days=1)
        house.evaluate()
        assert receiver.keys_taken == [KEY]

    def test_a_spike_that_goes_on_to_grow_is_the_same_one(
        self, house: House, settings: Settings, marts: Marts, receiver: Receiver
    ) -> None:
        """Each of these is near to the one before it, the last one not to the one that was sent."""
        for hours, rank, value in ((0, 3, -1400e6), (20, 2, -1500e6), (40, 1, -1600e6)):
            marts.spike(SPIKE + timedelta(hours=hours), rank, value=value).publish()
            house.clock.now = SPIKE + timedelta(hours=hours + 4)
            house.evaluate()
        assert receiver.keys_taken == [KEY]
        marts.spike(SPIKE + timedelta(hours=68), 1, value=-1700e6).publish()
        house.clock.forward(hours=28)
        assert keys(house.evaluate().new) == ["spike:4h_usd:binance_um:BTCUSDT:bearish:2026-02-03T12"]

    def test_the_other_side_and_another_market_are_others(self, house: House, marts: Marts) -> None:
        marts.spike().spike(side="bullish", value=1e9).spike(market=SIMULATED).publish()
        assert len(house.evaluate().new) == 3

    def test_liquidations_that_stay_high_are_sent_once(self, house: House, marts: Marts, receiver: Receiver) -> None:
        marts.totals(800, NOW - timedelta(hours=40), 50e6).totals(1, NOW - timedelta(hours=3), 900e6).publish()
        house.evaluate()
        marts.totals(3, NOW, 950e6).publish()
        house.clock.forward(hours=3)
        house.evaluate()
        assert len(receiver.keys_taken) == 1

    def test_a_condition_is_sent_once_while_it_lasts_and_again_when_it_returns(
        self, house: House, receiver: Receiver
    ) -> None:
        new = []
        for is_alive in (True, False, False, True, False):
            house.clock.forward(minutes=2)
            house.beat(is_alive=is_alive)
            new.append(len(house.evaluate().new))
        assert new == [0, 1, 0, 0, 1]
        assert receiver.keys_taken == ["collector:quiet:2026-02-01T00:34:00", "collector:quiet:2026-02-01T00:40:00"]

    def test_a_collector_that_was_stopped_is_not_missed(self, house: House) -> None:
        house.beat()
        house.evaluate()
        house.beat(is_stopped=True)
        for _ in range(2):
            house.clock.forward(hours=8)
            assert house.evaluate().new == ()

    def test_what_cannot_be_judged_does_not_end(self, house: House, settings: Settings) -> None:
        house.clock.now = NOW + timedelta(days=2)
        Marts(settings.serving_path).day(date(2026, 1, 30)).publish()
        assert [alert.kind for alert in house.evaluate().new] == [Kind.STALE]
        settings.serving_path.write_bytes(b"no database")
        done = house.evaluate()
        assert done.ended == ()
        assert "cannot be read" in done.faults[0]

    def test_another_failed_check_is_new_and_one_less_is_not(self) -> None:
        def found(*checks: str) -> list[Found]:
            fact = condition(Kind.AUDIT, "audit:checks", "refused", " ".join(checks), NOW, *checks)
            return [Found(Kind.AUDIT, (fact,), "")]

        (alert,) = outbox.sort(found("a", "b"), [], NOW).new
        assert outbox.sort(found("a"), [alert], NOW).new == ()
        assert len(outbox.sort(found("a", "c"), [alert], NOW).new) == 1

    def test_two_processes_neither_record_nor_send_an_alert_twice(
        self, house: House, settings: Settings, marts: Marts
    ) -> None:
        marts.spike().publish()
        found = publication.read(settings.alerts, NOW).found
        with outbox.opened(settings.alerts_path) as one, outbox.opened(settings.alerts_path) as other:
            assert (len(one.record(found, NOW).new), len(other.record(found, NOW).new)) == (1, 0)
            assert one.take(NOW) is not None
            assert other.take(NOW) is None


class TestNeverLost:
    @pytest.fixture(autouse=True)
    def one_spike(self, marts: Marts) -> None:
        marts.spike().publish()

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Reply(503), "HTTP 503"),
            (Reply(429), "HTTP 429"),
            (Reply(500, body=b"rollup_error"), "HTTP 500 rollup_error"),
        ],
    )
    def test_a_receiver_that_is_unavailable_is_tried_again_later(
        self, house: House, receiver: Receiver, answer: Reply, error: str
    ) -> None:
        receiver.answers.append(answer)
        done = house.evaluate()
        assert (done.delivery.failed, done.delivery.error) == (1, error)
        assert [(alert.state, alert.last_error) for alert in done.undelivered] == [("waiting", error)]
        house.clock.forward(seconds=29)
        house.evaluate()
        assert len(receiver.messages) == 1
        house.clock.forward(seconds=1)
        assert house.evaluate().undelivered == ()
        assert receiver.keys_taken == [KEY]
        assert "Sent again" not in receiver.taken[0]["text"]

    def test_pauses_double_up_to_half_an_hour(self, house: House, receiver: Receiver) -> None:
        pauses = []
        for _ in range(9):
            receiver.answers.append(Reply(503))
            (alert,) = house.evaluate().undelivered
            assert alert.next_attempt_at is not None
            pauses.append((alert.next_attempt_at - house.clock.now).total_seconds())
            house.clock.now = alert.next_attempt_at
        assert pauses == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]

    @pytest.mark.parametrize(
        ("retry_after", "seconds"), [("120", 120), ("Sun, 01 Feb 2026 00:35:00 GMT", 300), ("soon", 30)]
    )
    def test_retry_after_is_respected(self, house: House, receiver: Receiver, retry_after: str, seconds: int) -> None:
        receiver.answers.append(Reply(429, {"Retry-After": retry_after}))
        (alert,) = house.evaluate().undelivered
        assert alert.next_attempt_at == NOW + timedelta(seconds=seconds)

    def test_a_receiver_that_is_down_gets_everything_once_it_is_back(
        self, house: House, marts: Marts, receiver: Receiver
    ) -> None:
        marts.spike(side="bullish", value=1e9).publish()
        there = house.settings
        house.settings = there.model_copy(update={"alert_webhook_url": SecretStr(f"http://127.0.0.1:1/{TOKEN}")})
        for _ in range(3):
            done = house.evaluate()
            assert done.delivery.error == "no connection to the receiver"
            house.clock.forward(minutes=40)
        house.settings = there
        assert house.evaluate().undelivered == ()
        assert len(receiver.keys_taken) == len(set(receiver.keys_taken)) == 2
        assert not any("Sent again" in message["text"] for message in receiver.taken)

    def test_a_broken_answer_may_have_been_a_success_and_the_repetition_notes_it(
        self, house: House, receiver: Receiver
    ) -> None:
        receiver.answers.append(CUT)
        assert house.evaluate().delivery.error == "the connection broke before an answer"
        house.clock.forward(minutes=1)
        house.evaluate()
        assert [message["idempotency_key"] for message in receiver.messages] == [KEY, KEY]
        assert receiver.taken[0]["text"].endswith("Sent again: whether an earlier attempt arrived is not known.")

    def test_an_answer_that_does_not_come_is_not_waited_for(self, house: House, receiver: Receiver) -> None:
        receiver.answers.append(SILENCE)
        alert = house.dry_run().new[0]
        answer = Webhook(SecretStr(receiver.url), timeout=0.1).send(alert, NOW)
        assert (answer.outcome, answer.text, answer.is_unsure) == (Outcome.FAILED, "no answer within 0.1 s", True)

    def test_a_sender_killed_in_the_middle_leaves_it_to_the_next_one(
        self, house: House, settings: Settings, receiver: Receiver
    ) -> None:
        with outbox.opened(settings.alerts_path) as box:
            box.record(publication.read(settings.alerts, NOW).found, NOW)
            assert box.take(NOW) is not None
        house.clock.forward(minutes=1)
        assert len(house.evaluate().undelivered) == 1
        house.clock.forward(minutes=2)
        assert house.evaluate().undelivered == ()
        assert "Sent again" in receiver.taken[0]["text"]

    def test_a_refusal_is_kept_and_waits_for_a_person(self, house: House, receiver: Receiver) -> None:
        receiver.answers.append(Reply(410, body=b"channel_is_archived"))
        (alert,) = house.evaluate().undelivered
        assert (alert.state, alert.last_error) == ("refused", "HTTP 410 channel_is_archived")
        house.clock.forward(days=30)
        assert len(house.evaluate().undelivered) == 1
        assert len(receiver.messages) == 1
        assert house.evaluate(retry_refused=True).undelivered == ()
        assert receiver.keys_taken == [KEY]

    def test_another_address_gets_what_the_former_one_refused(self, house: House, receiver: Receiver) -> None:
        receiver.answers.append(Reply(404, body=b"no_service"))
        house.evaluate()
        house.settings = house.settings.model_copy(update={"alert_webhook_url": SecretStr(f"{receiver.url}/new")})
        assert house.evaluate().undelivered == ()

    def test_a_redirection_is_not_followed(self, house: House, receiver: Receiver) -> None:
        receiver.answers.append(Reply(302, {"Location": f"{receiver.url}/elsewhere"}))
        (alert,) = house.evaluate().undelivered
        assert alert.last_error == "HTTP 302, a redirection, which is not followed"
        assert len(receiver.messages) == 1

    def test_what_ended_while_the_receiver_was_down_is_sent_as_over(self, house: House, receiver: Receiver) -> None:
        house.evaluate()
        house.beat(is_alive=False)
        receiver.answers.append(Reply(503))
        house.evaluate()
        house.clock.forward(minutes=10)
        house.beat(is_alive=True)
        house.evaluate()
        assert receiver.taken[-1]["text"].endswith("First seen 2026-02-01 00:30 UTC.\nOver since 2026-02-01 00:40 UTC.")

    def test_what_waits_waits_no_longer_once_another_gets_through(
        self, house: House, marts: Marts, receiver: Receiver
    ) -> None:
        for _ in range(4):
            receiver.answers.append(Reply(503))
            (alert,) = house.evaluate().undelivered
            assert alert.next_attempt_at is not None
            house.clock.now = alert.next_attempt_at
        house.clock.now -= timedelta(minutes=1)
        marts.spike(side="bullish", value=1e9).publish()
        assert house.evaluate().undelivered == ()
        assert len(receiver.keys_taken) == 2

    def test_an_alert_that_the_receiver_cannot_take_delays_no_other(
        self, house: House, marts: Marts, receiver: Receiver
    ) -> None:
        receiver.answers.append(Reply(500))
        house.evaluate()
        marts.spike(side="bullish", value=1e9).publish()
        receiver.answers += [Reply(200), Reply(500)]
        house.clock.forward(minutes=5)
        done = house.evaluate()
        assert receiver.keys_taken == [KEY.replace("bearish", "bullish")]
        assert keys(done.undelivered) == [KEY]


class TestSecrecy:
    """The address holds a token, which is shown nowhere."""

    @pytest.mark.parametrize(
        "answer", [Reply(200), Reply(403, body=TOKEN.encode()), Reply(500, body=TOKEN.encode()), CUT, Reply(301)]
    )
    def test_neither_errors_nor_logs_nor_files_hold_the_token(
        self, house: House, marts: Marts, receiver: Receiver, answer: Reply | str, caplog: pytest.LogCaptureFixture
    ) -> None:
        marts.spike().publish()
        receiver.answers.append(answer)
        with caplog.at_level(logging.DEBUG):
            done = house.evaluate()
        stored = house.settings.alerts_path.read_bytes().decode(errors="replace")
        facts = json.dumps(evaluation.facts(done), default=str)
        assert TOKEN not in "\n".join([repr(done), facts, caplog.text, stored, repr(house.settings)])

    def test_a_word_of_the_answer_is_shown_unless_the_address_holds_it(self, house: House, marts: Marts) -> None:
        marts.spike().publish()
        (alert,) = house.dry_run().new
        with Receiver().running() as receiver:
            receiver.answers += [Reply(403, body=b"services"), Reply(403, body=b"action_prohibited")]
            texts = [Webhook(SecretStr(receiver.url)).send(alert, NOW).text for _ in range(2)]
        assert texts == ["HTTP 403", "HTTP 403 action_prohibited"]


class TestDryRun:
    def test_a_dry_run_writes_and_sends_nothing_and_needs_no_receiver(
        self, house: House, settings: Settings, marts: Marts, receiver: Receiver
    ) -> None:
        marts.spike().publish()
        house.settings = settings
        done = house.dry_run()
        assert (done.is_dry, keys(done.new)) == (True, [KEY])
        assert not settings.alerts_path.exists()
        assert receiver.messages == []

    def test_without_a_receiver_nothing_is_recorded(self, settings: Settings, marts: Marts) -> None:
        marts.spike().publish()
        with pytest.raises(NoReceiver, match="--dry-run"):
            evaluate(settings.alerts)
        assert not settings.alerts_path.exists()

    def test_a_dry_run_knows_what_was_sent(self, house: House, marts: Marts) -> None:
        marts.spike().publish()
        house.evaluate()
        done = house.dry_run()
        assert (done.new, [alert.state for _, alert in done.known]) == ((), ["delivered"])

    def test_without_a_publication_every_kind_states_it(self, house: House) -> None:
        summaries = {one.kind: one.summary for one in house.dry_run().found}
        assert list(summaries) == list(Kind)
        assert summaries[Kind.SPIKE] == summaries[Kind.LIQUIDATIONS] == summaries[Kind.STALE] == "nothing is published"


class TestCheap:
    def test_a_publication_that_was_read_is_not_read_again(
        self, house: House, marts: Marts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        marts.spike().publish()
        house.evaluate(only_news=True)
        read = publication.read
        readings = []
        monkeypatch.setattr(publication, "read", lambda *of: readings.append(1) or read(*of))
        house.clock.forward(minutes=1)
        assert house.evaluate(only_news=True).new == ()
        assert readings == []
        marts.spike(side="bullish", value=1e9).publish()
        assert len(house.evaluate(only_news=True).new) == 1
        assert readings == [1]

    def test_a_market_goes_stale_without_a_publication(self, house: House, settings: Settings) -> None:
        Marts(settings.serving_path).day(date(2026, 1, 31)).publish()
        house.evaluate(only_news=True)
        house.clock.now = NOW + timedelta(days=1, hours=12)
        (alert,) = house.evaluate(only_news=True).new
        assert "newest published day is 2026-01-31, 1 day behind 2026-02-01" in alert.text

    def test_other_settings_read_the_same_publication_again(self, house: House, marts: Marts) -> None:
        marts.spike(rank=5).publish()
        assert house.evaluate(only_news=True).new == ()
        house.settings = house.settings.model_copy(update={"alert_rank": 5})
        assert len(house.evaluate(only_news=True).new) == 1


class TestFaults:
    def test_one_kind_that_cannot_be_judged_keeps_no_other_from_being_sent(
        self, house: House, marts: Marts, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: Path) -> None:
            raise ValueError("collector.json is cut off")

        marts.spike().publish()
        monkeypatch.setattr(evaluation, "read_status", broken)
        done = house.evaluate()
        assert done.faults == ("collector could not be judged: ValueError: collector.json is cut off",)
        assert receiver.keys_taken == [KEY]

    def test_an_unknown_definition_is_reported_at_every_evaluation(self, house: House, marts: Marts) -> None:
        marts.publish()
        house.settings = house.settings.model_copy(update={"alert_definition": "weekly"})
        for _ in range(2):
            (fault,) = house.evaluate(only_news=True).faults
            assert "published are 4h_ma2_usd, 4h_usd, daily_sell_ratio" in fault


class TestSensor:
    def sensor(self, settings: Settings) -> dg.SensorDefinition:
        sensors = automation.sensors(settings, [], automation_job(), automation_job())
        return next(sensor for sensor in sensors if sensor.name == "alerts")

    def test_it_runs_by_default_only_where_there_is_a_receiver(self, settings: Settings, alerting: Settings) -> None:
        assert self.sensor(settings).default_status is dg.DefaultSensorStatus.STOPPED
        assert self.sensor(alerting).default_status is dg.DefaultSensorStatus.RUNNING

    def tick(self, settings: Settings) -> Any:
        with dg.DagsterInstance.ephemeral() as instance:
            return self.sensor(settings)(dg.build_sensor_context(instance=instance))

    def test_a_tick_sends_and_reports_what_it_did(self, alerting: Settings, receiver: Receiver) -> None:
        assert self.tick(alerting).skip_message == "0 new, 0 sent, 0 undelivered"
        with outbox.opened(alerting.alerts_path) as box:
            fact = Fact(Kind.SPIKE, "spike:x", "spike:x:1", "x", "x", NOW, NOW)
            box.record([Found(Kind.SPIKE, (fact,), "")], NOW)
        receiver.answers.append(Reply(503))
        assert self.tick(alerting).skip_message == "0 new, 0 sent, 1 undelivered; the last attempt: HTTP 503"

    def test_a_fault_fails_the_tick(self, alerting: Settings, marts: Marts) -> None:
        marts.publish()
        with pytest.raises(dg.Failure, match="TAKER_ALERT_DEFINITION"):
            self.tick(alerting.model_copy(update={"alert_definition": "weekly"}))


def automation_job() -> Any:
    return dg.define_asset_job(automation.BUILD_AND_PUBLISH, selection=dg.AssetSelection.assets("mart"))


class TestCommand:
    @pytest.fixture(autouse=True)
    def in_its_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(evaluation, "_now", lambda: NOW)

    def taker(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    def test_without_a_receiver_it_is_wrong_usage(self) -> None:
        done = self.taker("alerts")
        assert done.exit_code == 2
        assert "TAKER_ALERT_WEBHOOK_URL is not set" in done.stderr

    def test_a_dry_run_shows_what_would_be_sent_and_why_nothing_else(self, marts: Marts) -> None:
        marts.spike().publish()
        done = self.taker("alerts", "--dry-run")
        assert done.exit_code == 0, done.output
        assert f"would send  {KEY}" in done.stdout
        assert "liquidations: 24 h totals above the percentile 0.99" in done.stdout
        assert "audit: no run has been recorded here" in done.stdout
        facts = json.loads(self.taker("alerts", "--dry-run", "--json").stdout)
        assert ([alert["key"] for alert in facts["new"]], facts["dry_run"]) == ([KEY], True)

    def test_what_is_undelivered_shows_in_alerts_and_in_status_without_the_address(
        self, marts: Marts, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        marts.spike().publish()
        monkeypatch.setenv("TAKER_ALERT_WEBHOOK_URL", receiver.url)
        receiver.answers.append(Reply(503))
        done = self.taker("alerts")
        assert done.exit_code == 1
        assert f"undelivered  {KEY}: 1 attempt(s); HTTP 503; again after 00:30:30 UTC" in done.stdout
        status = self.taker("status")
        assert "alerts  1 undelivered, the oldest of 2026-02-01 00:30 UTC; last error: HTTP 503" in status.stderr
        assert TOKEN not in done.output + status.output

    def test_json_lists_what_is_undelivered_without_a_receiver(
        self, marts: Marts, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        marts.spike().publish()
        monkeypatch.setenv("TAKER_ALERT_WEBHOOK_URL", receiver.url)
        receiver.answers.append(Reply(503))
        self.taker("alerts")
        monkeypatch.delenv("TAKER_ALERT_WEBHOOK_URL")
        facts = json.loads(self.taker("alerts", "--dry-run", "--json").stdout)
        (alert,) = facts["undelivered"]
        assert (alert["key"], alert["state"], alert["last_error"]) == (KEY, "waiting", "HTTP 503")

    def test_a_demo_sends_nothing(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAKER_ALERT_WEBHOOK_URL", receiver.url)
        assert self.taker("alerts", "--demo").exit_code == 2
        assert receiver.messages == []


def test_an_outbox_of_a_killed_writer_can_be_looked_at(house: House, marts: Marts, tmp_path: Path) -> None:
    marts.spike().publish()
    house.evaluate()
    path = house.settings.alerts_path
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("pragma cache_spill = 1")
    writer.execute("begin immediate")
    writer.execute("update alerts set state = 'waiting'")
    copy = tmp_path / "killed" / path.name
    copy.parent.mkdir()
    for file in path.parent.iterdir():
        (copy.parent / file.name).write_bytes(file.read_bytes())
    writer.execute("rollback")
    writer.close()
    assert outbox.undelivered(copy) is None
