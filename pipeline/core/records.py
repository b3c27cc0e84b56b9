"""Records of the topics around a decision: customers, contacts, answers, commands, labels, dead letters.

All are JSON objects; unknown fields are ignored, times are RFC 3339 with a zone, money is in minor units.
"""

from typing import Annotated, Any, Literal

import msgspec

AnswerWord = Literal[
    "yes", "no", "stop", "later", "agent", "already_paid", "promise", "dispute", "hardship", "wrong_person",
    "complaint", "none",
]  # fmt: skip
Step = Literal[
    "planned", "deferred", "sending", "accepted", "delivered", "answered", "failed", "unknown", "escalated",
    "completed", "cancelled", "expired",
]  # fmt: skip
Assurance = Literal["sms", "voice", "app", "agent"]


class Phone(msgspec.Struct, omit_defaults=True):
    """``number`` in E.164; ``since`` when the bank learned it."""

    number: str
    kind: str = "mobile"
    since: str | None = None


class CustomerCard(msgspec.Struct, omit_defaults=True):
    card: str
    last4: str | None = None
    account: str | None = None


class Customer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``customers`` (key customer, compacted): whom to contact and how they wish it."""

    customer: str
    name: str | None = None
    language: str = "en"
    time_zone: str | None = None
    country: str | None = None
    phones: list[Phone] = []
    email: str | None = None
    app_id: str | None = None
    wechat_id: str | None = None
    preferred_channel: str | None = None
    preferred_hours: Any = None
    consent: dict[str, bool] = {}
    stop: list[str] = []
    protections: list[Any] = []
    notices: dict[str, Any] = {}
    cards: list[CustomerCard] = []
    guarantors: list[Any] = []


class CustomerEvent(msgspec.Struct, omit_defaults=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """Record of ``customer-events`` (key customer): what became of a customer's ways to us. ``type``: sim_swapped,
    call_forwarded, phone_changed, device_added …; those that nobody here needs are passed over. A travel_notice has
    ``countries`` (ISO 3166 alpha-2) and its first and last day, ``from`` and ``to``."""

    customer: str
    type: str
    time: str
    countries: list[str] | None = None
    first: str | None = None
    last: str | None = None


class Label(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``labels`` (key card). ``fraud`` None withdraws an earlier label; ``supersedes``: the ``id`` of the one
    that this one stands for now."""

    transaction: str
    card: str
    fraud: bool | None
    source: Literal["cardholder", "analyst", "chargeback", "network", "import"]
    time: str
    fraud_type: str | None = None
    confidence: float | None = None
    supersedes: str | None = None
    id: str | None = None


class CardCommand(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``card-commands`` (key card). A ``sequence`` lower than the last seen for the card is void."""

    id: str
    card: str
    sequence: int
    command: Literal["hold", "release", "block", "limit"]
    scope: str = "all"
    alert: str | None = None
    reason: str | None = None
    card_ref: str | None = None
    expires_at: str | None = None
    exemption: dict[str, Any] | None = None


class CardCommandResult(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``card-command-results`` (key card): what the switch did about the command ``id``. ``done`` False: a
    later command had come before it."""

    id: str
    done: bool
    time: str


class ContactStep(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``contacts`` (key customer): one step of one conversation. ``subject`` is {"alert":
    transaction id}, {"request": id} or {"statement": id}; ``call_back_by``: until when the customer was promised a call by
    a person; ``due``: when somebody must look at the conversation next. The fields from ``covers`` on let a lost store be
    told again: the alerts an attempt asks about (with an answer: those that were shown), its place on the ladder, the
    order in which this is climbed if it is not the plan's own, the beginning of its address's digest (it tells a customer's own addresses apart and says nothing else), as whom, the
    provider's name for it, how surely it was answered by the customer; of what is only told, the channel that this
    customer prefers. Of a bill also its ``account``, the ``stage`` of the reminder and the ``request`` that asked for it;
    of a promise the day ``by`` which and the ``amount`` (minor units) that was promised, as far as they were said. An
    account that the risk team should look at is one step by itself, "escalated" with the subject {"account": id}: no
    conversation follows it; ``why`` has its reasons (`account_alerts.WORDS`), each with its figures."""

    contact: str
    subject: dict[str, str]
    customer: str | None
    class_: str = msgspec.field(name="class")
    step: Step
    time: str
    channel: str | None = None
    attempt: int | None = None
    reason: str | None = None
    answer: AnswerWord | None = None
    policy_version: str | None = None
    call_back_by: str | None = None
    due: str | None = None
    covers: list[str] = []
    rung: int | None = None
    to: str | None = None
    sender: str = ""
    call: str | None = None
    assurance: Assurance | None = None
    order: list[int] = []
    prefers: str | None = None
    account: str | None = None
    stage: str | None = None
    request: str | None = None
    by: str | None = None
    amount: int | None = None
    why: dict[str, dict[str, str | int | float]] = {}


class CustomerRisk(msgspec.Struct, omit_defaults=True, kw_only=True):
    """``score``: the highest probability of fraud lately or what labelled frauds make of it, 0–1; ``highest_24h`` and
    ``highest_7d`` fade over 24 hours and 7 days; frauds labelled within 90 days, ``frauds_open`` as the customer says,
    ``frauds_confirmed`` by analyst, network or chargeback."""

    band: Literal["low", "elevated", "high"]
    score: float
    highest_24h: float = 0.0
    highest_7d: float = 0.0
    frauds_open: int = 0
    frauds_confirmed: int = 0


class CustomerActivity(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Sums that fade over 30 days: ``payments_30d``, ``amount_30d`` (minor units of the billing currency),
    ``declined_30d``, ``new_merchants_30d``; shares of the payments, 0–1; ``cards_30d`` cards used within 30 days;
    ``days_known`` since the first payment seen. ``level`` sums up how much the customer pays."""

    level: Literal["dormant", "occasional", "regular", "frequent"]
    payments_30d: float = 0.0
    amount_30d: int = 0
    abroad_share: float = 0.0
    online_share: float = 0.0
    cash_share: float = 0.0
    night_share: float = 0.0
    declined_30d: float = 0.0
    new_merchants_30d: float = 0.0
    cards_30d: int = 0
    days_known: int = 0


class CustomerState(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``customer-state`` (key customer, compacted): how a customer stands ``as_of`` the newest payment.
    ``tags``: the bank's own words for kinds of customers."""

    customer: str
    as_of: str
    risk: CustomerRisk | None = None
    activity: CustomerActivity | None = None
    tags: list[str] = []


class Bill(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is owed: the ``statement`` (or instalment) of an ``account``, and the ``stage`` of the reminders about it."""

    account: str
    statement: str
    stage: str


class ContactRequest(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``contact-requests`` (key customer): something a customer is to be told. ``template``: a message of the
    class; ``variables``: its facts, and ``card``, the token of the card whose last four digits are said; ``channels``: of
    the ladder only these. The same ``id`` again: the same request, in other words if nothing has left yet; withdrawn if it
    has expired. ``bill``: it is told only while that is owed, with the amounts of that moment. ``withdrawn``: why it need
    not be told any more; it is not told later either, in whatever order the two records come."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    customer: str
    class_: Literal["fraud", "service", "reminder", "collection", "marketing"] = msgspec.field(name="class")
    template: str
    variables: dict[str, Any] = {}
    not_before: str | None = None
    expires_at: str | None = None
    channels: list[Literal["voice", "sms", "email", "push", "wechat", "webhook"]] = []
    bill: Bill | None = None
    withdrawn: str = ""


class Answer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``answers`` (key contact): what a verified call-back, an agent, an IVR or the app reported. ``alerts``:
    those that were shown to whoever answered, if that is known. ``by``: a promise's day, as 2026-11-27; ``amount``: what was
    promised, in minor units."""

    contact: str
    answer: AnswerWord
    channel: str
    assurance: Assurance
    time: str
    attempt: Annotated[int, msgspec.Meta(ge=1)] | None = None
    alerts: list[str] = []
    by: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None
    amount: Annotated[int, msgspec.Meta(gt=0)] | None = None


class DeadLetter(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``dead-letters``: where the unusable message lies, why it is unusable, and its masked beginning."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    field: str | None = None
    payload: str = ""
    time: str
