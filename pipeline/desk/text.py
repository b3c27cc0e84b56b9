"""The desk's own words, in English and Chinese. Words for reasons come from ``config/messages``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from pipeline.desk.text_reminding import REMINDING

Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_TABLE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "title": ("Cardwatch · risk desk", "Cardwatch · 风控台"),
        "desk": ("Risk desk", "风控台"),
        "skip": ("Skip to the alerts", "跳到告警列表"),
        "language": ("Language", "语言"),
        "api": ("API", "接口"),
        "read_only": ("Read-only", "只读"),
        "explain_title": ("What am I looking at?", "这个页面在看什么？"),
        "explain_1": (
            "Every card transaction of the bank is compared, as it happens, with that card’s own habits: amounts, places, hours, pace.",
            "银行的每一笔卡交易在发生的同时，都会与这张卡自己的习惯对比：金额、地点、时段、频率。",
        ),
        "explain_2": (
            "Most are approved and only counted. The few that look wrong become the alerts below, each with its reasons in words.",
            "绝大多数直接通过，只计数。少数看起来不对的会成为下面的告警，并用文字说明原因。",
        ),
        "explain_3": (
            "Where it matters, the card is held and its holder asked, by text and then by call: YES releases it, NO blocks it, silence goes to an agent.",
            "需要核实时，系统先暂停用卡，再以短信和电话询问持卡人：答“是”恢复用卡，答“否”冻结，无人应答则转人工。",
        ),
        "link_connecting": ("Connecting", "正在连接"),
        "link_live": ("Live", "实时"),
        "link_reconnecting": (
            "Reconnecting to the broker — figures may be old",
            "正在重新连接消息系统，数据可能不是最新",
        ),
        "link_lost": ("This page lost the desk — trying again", "页面与风控台断开，正在重试"),
        "rate": ("Transactions", "交易速率"),
        "rate_unit": ("per second", "笔/秒"),
        "rate_note": ("chart: last 5 minutes", "图：最近 5 分钟"),
        "rate_chart": ("Transactions per second, last 5 minutes", "最近 5 分钟每秒交易笔数"),
        "latency": ("Decision time", "决策耗时"),
        "latency_half": ("half within", "半数不超过"),
        "latency_most": ("99% within", "99% 不超过"),
        "latency_note": ("from transaction to decision, last minute", "从交易到决策，最近一分钟"),
        "ms": ("ms", "毫秒"),
        "s": ("s", "秒"),
        "unit_seconds": ("{n} s", "{n} 秒"),
        "unit_minutes": ("{n} min", "{n} 分钟"),
        "unit_hours": ("{n} h", "{n} 小时"),
        "unit_days": ("{n} days", "{n} 天"),
        "unit_times": ("× {n}", "{n} 倍"),
        "yes": ("yes", "是"),
        "no": ("no", "否"),
        "none_yet": ("–", "–"),
        "outcomes": ("Decisions by outcome", "各类决策笔数"),
        "last_minute": ("last minute", "最近一分钟"),
        "last_hour": ("last hour", "最近一小时"),
        "since": ("since {time}", "{time} 起"),
        "outcome_approve": ("Approve", "通过"),
        "outcome_notify": ("Notify", "通知"),
        "outcome_review": ("Review", "人工复核"),
        "outcome_verify": ("Verify", "核实"),
        "outcome_hold": ("Hold card", "暂停用卡"),
        "outcome_decline": ("Decline", "拒绝"),
        "meaning_approve": ("nothing unusual enough to act on", "没有需要处理的异常"),
        "meaning_notify": ("tell the cardholder", "告知持卡人"),
        "meaning_review": ("an analyst looks at it", "由分析员查看"),
        "meaning_verify": ("ask the cardholder whether it was them", "向持卡人核实是否本人交易"),
        "meaning_hold": ("hold the card and ask the cardholder", "暂停用卡并向持卡人核实"),
        "meaning_decline": ("advise the switch to decline", "建议授权系统拒绝"),
        "alerts": ("Newest alerts", "最新告警"),
        "shown": ("{shown} shown, {kept} kept", "显示 {shown} 条，保留 {kept} 条"),
        "no_alerts": (
            "No alerts yet. They appear here by themselves, newest first.",
            "暂无告警。出现后会自动显示在这里，最新的在最上面。",
        ),
        "column_when": ("Time and advice", "时间与建议"),
        "column_transaction": ("Transaction", "交易"),
        "column_why": ("Why", "原因"),
        "column_story": ("What happened since", "后续进展"),
        "no_merchant": ("merchant not given", "未提供商户"),
        "country": ("Country", "国家/地区"),
        "fraud_chance": ("{percent} risk of fraud", "欺诈概率 {percent}"),
        "one_in": ("1 in {n}", "约 {n} 笔中有 1 笔"),
        "by_rule": ("By a rule", "规则判定"),
        "score_alone": ("the score alone says {percent}", "仅看评分为 {percent}"),
        "likely": ("more likely than not", "很可能是欺诈"),
        "more_reasons": ("{n} more", "另有 {n} 条"),
        "percentile_short": ("more unusual than {percent}", "比 {percent} 的更异常"),
        "percentile": ("more unusual than {percent} of transactions", "比 {percent} 的交易更异常"),
        "no_reason": ("No reason was recorded.", "未记录原因。"),
        "warming_up": ("card still being learned", "该卡尚在学习期"),
        "degraded": ("decided with parts missing", "在部分组件缺失时作出"),
        "nothing_yet": ("no contact or card command yet", "尚无联系或卡指令"),
        "contact": ("Contact", "联系"),
        "card": ("Card", "卡"),
        "step_planned": ("Contact planned", "已安排联系"),
        "step_deferred": ("Deferred", "已推迟"),
        "step_sending": ("Calling", "正在拨号"),
        "step_accepted": ("Call placed", "呼叫已发出"),
        "step_sending_message": ("Sending a message", "正在发送消息"),
        "step_accepted_message": ("Message sent", "消息已发出"),
        "step_delivered": ("Delivered", "已送达"),
        "step_answered": ("Answered", "已答复"),
        "step_failed": ("Not reached", "未接通"),
        "step_unknown": ("Result unknown", "结果不明"),
        "step_escalated": ("Handed to an agent", "已转人工"),
        "step_completed": ("Conversation closed", "联系结束"),
        "step_cancelled": ("Cancelled", "已取消"),
        "step_expired": ("Expired", "已过期"),
        "answer_yes": ("YES — it was them", "答“是”，本人交易"),
        "answer_no": ("NO — not them", "答“否”，非本人交易"),
        "answer_stop": ("Asked for no more contact", "要求不再联系"),
        "answer_later": ("Asked to call later", "要求稍后再打"),
        "answer_agent": ("Asked for an agent", "要求人工服务"),
        "answer_already_paid": ("Says already paid", "称已还款"),
        "answer_promise": ("Promised to pay", "承诺还款"),
        "answer_dispute": ("Disputes it", "提出争议"),
        "answer_hardship": ("Reports hardship", "称有困难"),
        "answer_wrong_person": ("Wrong person", "号码非本人"),
        "answer_complaint": ("Complains", "投诉"),
        "answer_none": ("Gave no answer", "没有作答"),
        "failed_busy": ("Line busy", "占线"),
        "failed_no_answer": ("Nobody answered", "无人应答"),
        "failed_voicemail": ("Voicemail", "转入语音信箱"),
        "failed_rejected": ("Rejected", "被拒绝"),
        "attempt": ("attempt {n}", "第 {n} 次"),
        "command_hold": ("Hold", "暂停用卡"),
        "command_release": ("Release", "恢复用卡"),
        "command_block": ("Block", "冻结"),
        "command_limit": ("Limit", "限制用卡"),
        "scope_online": ("online only", "仅限线上"),
        "scope_cash": ("cash only", "仅限取现"),
        "scope_abroad": ("abroad only", "仅限境外"),
        "done_yes": ("done", "已执行"),
        "done_no": ("refused by the switch", "授权系统未执行"),
        "done_wait": ("sent", "已发出"),
        "phone": ("The cardholder’s phone", "持卡人的手机"),
        "phone_note": (
            "A simulator: reply to the text or answer the call, and watch the card.",
            "模拟器：回复短信或接听来电，看卡的变化。",
        ),
        "back": ("All alerts", "全部告警"),
        "alert_title": ("Alert {id}", "告警 {id}"),
        "detail_transaction": ("Transaction", "交易编号"),
        "detail_time": ("Time", "交易时间"),
        "detail_card": ("Card token", "卡标识"),
        "detail_decided": ("Decided", "决策时间"),
        "detail_policy": ("Policy", "策略版本"),
        "detail_model": ("Model", "模型版本"),
        "detail_actions": ("Advice", "处置建议"),
        "action_transaction_approve": ("approve the transaction", "放行该交易"),
        "action_transaction_step_up": ("ask for more proof", "要求加强验证"),
        "action_transaction_decline": ("decline the transaction", "拒绝该交易"),
        "action_card_limit": ("limit the card", "限制用卡"),
        "action_card_hold": ("hold the card", "暂停用卡"),
        "action_contact_notify": ("notify the cardholder", "通知持卡人"),
        "action_contact_verify": ("ask the cardholder", "向持卡人核实"),
        "action_queue_review": ("analyst’s review", "人工复核"),
        "features_title": ("What the decision looked at", "决策依据的特征"),
        "features_note": (
            "Each figure compares this transaction with the card’s own history as it was at that moment.",
            "每个数值都是将该交易与当时这张卡自己的历史相比较的结果。",
        ),
        "feature": ("Feature", "特征"),
        "feature_value": ("Value", "数值"),
        "feature_meaning": ("Meaning", "含义"),
        "feature_unknown": ("no description in this version", "当前版本无说明"),
        "features_none": ("This decision carries no features.", "该决策未附带特征。"),
        "missing_title": ("No such alert", "没有这条告警"),
        "missing_text": (
            "The desk keeps the newest {kept} alerts. This one is older, or never was.",
            "风控台只保留最新的 {kept} 条告警。该告警已过保留范围，或不存在。",
        ),
    }
)


def texts(language: Language) -> Mapping[str, str]:
    """Key → words in ``language``; ``{name}`` in them is for str.format."""
    column = LANGUAGES.index(language)
    return MappingProxyType({key: words[column] for key, words in (*_TABLE.items(), *REMINDING.items())})


def choose_language(asked: str | None, remembered: str | None, accept_language: str) -> Language:
    """What the visitor asked for, else chose before, else what their browser prefers, else English."""
    for wish in (asked, remembered):
        for language in LANGUAGES:
            if wish == language:
                return language
    return _preferred(accept_language)


def _preferred(accept_language: str) -> Language:
    """The first of ours in order of the header's weights (RFC 9110 §12.5.4); any Chinese is zh-CN to us."""
    weighted: list[tuple[float, str]] = []
    for item in accept_language.split(",")[:20]:
        tag, _, parameters = item.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        weighted.append((weight, tag.strip().lower()))
    for weight, tag in sorted(weighted, key=lambda pair: -pair[0]):
        if weight > 0 and tag.split("-")[0] == "zh":
            return "zh-CN"
        if weight > 0 and tag.split("-")[0] == "en":
            return "en"
    return "en"
