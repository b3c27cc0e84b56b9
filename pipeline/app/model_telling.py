"""The models in words: what `cardwatch model list` and `show` print, in English or Chinese, or as JSON."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final

import msgspec

from pipeline.core.model_board import ModelBoard, Shown
from pipeline.core.model_release import Order
from pipeline.core.moments import rfc3339

WORDS: Final = MappingProxyType({
    "none": ("No model was released yet: scorers work with the built-in one.", "尚未发布任何模型：评分进程使用内置模型。"),
    "in_force": ("in force", "生效中"),
    "released": ("released", "已发布"),
    "withheld": ("withheld", "已暂扣"),
    "challenger": ("challenger", "挑战者"),
    "kept": ("kept to go back to", "留存备退"),
    "following": ("New versions inside the bands go live by themselves.", "处于准入区间内的新版本自动生效。"),
    "frozen": ("Frozen: this version stays until somebody unfreezes it.", "已冻结：此版本一直生效，直至有人解冻。"),
    "ordered": ("Last order", "最近指令"),
    "why": ("why", "理由"),
    "outside": ("outside its band", "超出区间"),
    "limit": ("limit", "限值"),
    "measured": ("measured", "实测"),
    "judged": ("Judged last", "最近一次评判"),
    "inside": ("inside all bands", "全部处于区间内"),
    "drift": ("Drifted most", "漂移最大"),
    "models": ("On the same labelled transactions", "在相同的有标签交易上"),
    "log_loss": ("log loss", "对数损失"),
    "average_precision": ("average precision", "平均精度"),
    "champion": ("champion", "冠军"),
    "model": ("model", "模型"),
    "made": ("told at", "发布时间"),
    "as_of": ("has learned up to", "学习截至"),
    "learned": ("learned", "已学习"),
    "calibrated": ("score: the classifier's", "评分：分类器概率"),
    "uncalibrated": ("score: the designed curve's", "评分：设计曲线"),
})  # fmt: skip
STRONGEST = 8
"""So many of what drifted are printed."""


def as_json(board: ModelBoard) -> str:
    order, force = board.release.order, board.release.in_force
    found: dict[str, Any] = {
        "in_force": None if force is None else force.name,
        "frozen": board.release.frozen,
        "order": None if order is None else order_fields(order),
        "versions": [_fields(shown) for shown in board.versions()],
        "report": None if board.report is None else msgspec.structs.replace(board.report, reference=None),
    }
    return msgspec.json.encode(found).decode()


def order_fields(order: Order) -> dict[str, Any]:
    fields = ("sequence", "action", "by", "why", "at", "replaced")
    return {**{name: getattr(order, name) for name in fields}, "version": order.version.name}


def _fields(shown: Shown) -> dict[str, Any]:
    version = shown.version
    return {
        "version": version.name, "model": version.model, "state": shown.state, "made_at": rfc3339(shown.made_at),
        "as_of": rfc3339(shown.as_of), "epoch": version.mark.epoch, "learned": version.mark.learned,
        "calibrated": shown.calibrated,
    }  # fmt: skip


def list_lines(board: ModelBoard, language: str) -> Iterator[str]:
    word = _words(language)
    shown = board.versions()
    if not shown:
        yield word["none"]
        return
    for one in shown:
        name = one.version
        yield f"{name.name}  {name.model}  {word[one.state]}  {word['as_of']} {rfc3339(one.as_of)}"
    yield from _standing(board, word)


def show_lines(board: ModelBoard, target: str | None, language: str) -> Iterator[str]:
    """Of the version ``target``, or of the one in force. Raises OrderRefused where there is no such version."""
    word = _words(language)
    force = board.release.in_force
    if target is None and force is None:
        yield word["none"]
        return
    version = board.find(target) if target is not None else force
    for one in board.versions():
        if one.version == version:
            yield f"{one.version.name}  {word[one.state]}"
            yield f"  {word['model']}: {one.version.model}"
            yield f"  {word['made']}: {rfc3339(one.made_at)}"
            yield f"  {word['as_of']}: {rfc3339(one.as_of)}"
            yield f"  {word['learned']}: {one.version.mark.learned}"
            yield f"  {word['calibrated' if one.calibrated else 'uncalibrated']}"
    yield from _standing(board, word)
    yield from _report(board, word)


def _standing(board: ModelBoard, word: dict[str, str]) -> Iterator[str]:
    order = board.release.order
    yield word["frozen"] if board.release.frozen else word["following"]
    if order is not None:
        yield f"{word['ordered']}: {order.action} {order.version.name}, {order.by}, {order.at}"
        if order.why:
            yield f"  {word['why']}: {order.why}"


def _report(board: ModelBoard, word: dict[str, str]) -> Iterator[str]:
    report = board.report
    if report is None:
        return
    if report.judged is not None:
        judged = report.judged
        yield f"{word['judged']}: {judged.version}" + ("" if judged.outside else f", {word['inside']}")
        for one in judged.outside:
            yield f"  {one.band}: {one.value:.4g}, {word['outside']} ({word['limit']} {one.limit:g})"
        told = ", ".join(f"{name} {value:.4g}" for name, value in judged.figures.items())
        yield f"  {word['measured']}: {told}"
    if len(report.models) > 1:
        yield f"{word['models']}:"
        for told_of in report.models:
            part = word["champion" if told_of.champion else "challenger"]
            figures = [
                f"{word[name]} {value:.4g}"
                for name in ("log_loss", "average_precision")
                if (value := getattr(told_of, name)) is not None
            ]
            yield f"  {told_of.name} ({part}): {', '.join(figures) or '–'}"
    strongest = sorted(report.drift.items(), key=lambda item: -item[1])[:STRONGEST]
    if strongest:
        yield f"{word['drift']}: " + ", ".join(f"{name} {value:.2f}" for name, value in strongest)


def _words(language: str) -> dict[str, str]:
    return {name: pair[language == "zh"] for name, pair in WORDS.items()}
