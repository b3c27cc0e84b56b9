"""How people are told what happened in a contact, in English and Chinese."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]

STEPS: Mapping[str, tuple[str, str]] = {
    "planned": ("planned", "已安排联系"),
    "deferred": ("put off", "已推迟"),
    "sending": ("being sent", "正在联系"),
    "accepted": ("sent", "已发出"),
    "delivered": ("delivered", "已送达"),
    "answered": ("answered", "已答复"),
    "failed": ("not reached", "未接通"),
    "unknown": ("result unknown", "结果不明"),
    "escalated": ("handed to people", "已转人工"),
    "completed": ("closed", "已结束"),
    "cancelled": ("cancelled", "已取消"),
    "expired": ("expired", "已过期"),
}
ANSWERS: Mapping[str, tuple[str, str]] = {
    "yes": ("yes, it was them", "是本人交易"),
    "no": ("no, not them", "非本人交易"),
    "stop": ("no more contact wanted", "要求不再联系"),
    "later": ("asks to be called later", "要求稍后联系"),
    "agent": ("asks for a person", "要求人工服务"),
    "already_paid": ("says it is paid", "称已还款"),
    "promise": ("promises to pay", "承诺还款"),
    "dispute": ("disputes it", "提出争议"),
    "hardship": ("reports hardship", "称有困难"),
    "wrong_person": ("wrong person", "号码非本人"),
    "complaint": ("complains", "投诉"),
    "none": ("no answer", "未作答"),
}
CHANNELS: Mapping[str, tuple[str, str]] = {
    "voice": ("telephone", "电话"),
    "sms": ("SMS", "短信"),
    "email": ("e-mail", "电子邮件"),
    "push": ("the app", "应用推送"),
    "wechat": ("WeChat", "微信"),
    "app": ("the app", "手机应用"),
    "ivr": ("the telephone menu", "电话语音菜单"),
    "agent": ("an agent", "坐席"),
}
LANGUAGES: tuple[Language, ...] = ("en", "zh")


def word(table: Mapping[str, tuple[str, str]], name: str, language: Language) -> str:
    """What ``name`` is called; its own name where the table has none."""
    return table.get(name, (name, name))[LANGUAGES.index(language)]
