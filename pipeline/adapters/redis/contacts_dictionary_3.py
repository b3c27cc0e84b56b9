"""What the values of the contact store have in common, given to deflate beforehand: the dictionary of form 3.

Never change it: what was packed with it can only be unpacked with it. It holds dossiers and conversations as
`contacts_shortening` leaves them: gates of the shipped contact profiles, texts of the shipped messages, states, as they
were when it was made; the commonest stand last, where they cost least. That others come since is no harm: they are packed
a little less.
"""

import re

from pipeline.adapters.redis.contacts_shortening import MARKS, run_of

_TEXT = """
{"answer":"ok","detail":[{"channel":"sms","code":"channel"}],"gate":"window","reason":"quiet",
"source":"the bank's own choice: a hold is told at once, silently"}"event":"barred","gates":[{"answer":"ok",
"gate":"class","reason":"allowed","source":"GDPR art. 6(1)(b), (f); PSD2 art. 68, 73"},{"answer":"ok","gate":"stop",
"reason":"none","source":"GDPR art. 7(3), 21: withdrawal and objection; scope the bank's own choice"},
"hash":"<hash>","policy":"eu@<6 bytes>","previous":"<hash before>","reason":"no_address","state":"escalated",
"time":"<time>","zones":["Europe/Berlin"]}"event":"barred","gates":[{"answer":"ok","gate":"class","reason":"allowed",
"source":"TRAI TCCCPR 2018: service and transactional communication"},{"answer":"ok","gate":"stop","reason":"none",
"source":"TRAI TCCCPR 2018: preference and opt-out; scope the bank's own choice"},"hash":"<hash>",
"policy":"in@<6 bytes>","previous":"<hash before>","reason":"no_address","state":"escalated","time":"<time>",
"zones":["Asia/Kolkata"]}"event":"barred","gates":[{"answer":"ok","gate":"class","reason":"allowed",
"source":"UK GDPR art. 6(1)(b), (f); Payment Services Regulations 2017 reg. 71"},{"answer":"ok","gate":"stop",
"reason":"none","source":"FCA CONC 7.9: how the customer wishes to be contacted; scope the bank's own choice"},
"hash":"<hash>","policy":"uk@<6 bytes>","previous":"<hash before>","reason":"no_address","state":"escalated",
"time":"<time>","zones":["Europe/London"]}"event":"deferred","gates":[{"answer":"ok","gate":"class",
"reason":"allowed","source":"TCPA, 47 CFR 64.1200(a)(9)(iii): exempted fraud alerts, free to the recipient,
 ≤ 160 characters, no marketing or debt"},{"answer":"ok","gate":"stop","reason":"none","source":"TCPA,
 47 CFR 64.1200(a)(10): revoked by any reasonable means, STOP; the scope is data, here this class alone"},
{"answer":"until","detail":[{"channel":"sms","code":"window","hours":"08:00–21:00","zones":8}],"gate":"window",
"reason":"outside_hours","source":"TCPA, 47 CFR 64.1200(c)(1): 08:00–21:00 at the called party's location",
"until":"<time>"},{"answer":"ok","detail":[{"code":"cap","count":0,"days":31,"limit":3,"of":"customer"}],
"gate":"caps","reason":"below","source":"TCPA, 47 CFR 64.1200(a)(9)(iii): ≤ 3 messages per event over 3 days,
 SMS and calls together (here: no more after them)"},"hash":"<hash>","policy":"us@<6 bytes>",
"previous":"<hash before>","reason":"outside_hours","state":"planned","time":"<time>","until":"<time>",
"zones":["America/New_York","America/Chicago","America/Denver","America/Phoenix","America/Los_Angeles",
"America/Anchorage","America/Adak","Pacific/Honolulu"]}{"answer":"ok","detail":[{"channel":"voice","code":"rung",
"kind":"home","why":"no_address"},"hash":"<hash>","policy":"cn@<6 bytes>","previous":"<hash before>","sender":"",
"state":"sending","time":"<time>","told":[{"channel":"sms","language":"zh-CN","text":
{"text":"【Cardwatch Bank】您尾号的卡在Corner Shop交易8,201.11元。本人操作回复1，非本人回复2，退订回复T。"}"event":"attempt","gates":[
{"answer":"ok","gate":"class","reason":"allowed","source":"PIPL art. 13(1)(2): needed for the contract with the cardh
older"},"gate":"window","reason":"open","source":"the bank's own choice, after the convention for collection"},
"hash":"<hash>","policy":"cn@<6 bytes>","previous":"<hash before>","sender":"","state":"sending","time":"<time>",
"told":[{"channel":"voice","language":"zh-CN","text":{"no":"谢谢。您的卡片已被止付，Cardwatch Bank将与您联系。",
"say":"您好，这里是Cardwatch Bank。您尾号的卡片刚刚在有一笔的交易。本人操作请按1，非本人操作请按2。","voicemail":"这里是Cardwatch Bank，请拨打卡片背面的客服电话。",
"yes":"谢谢。您的卡片即将恢复使用，请稍候再试。"}{"did":[],"event":"deferred","gates":[{"answer":"ok","gate":"class","reason":"allowed",
"source":"PIPL art. 13(1)(2): needed for the contract with the cardholder"},{"answer":"until","detail":[
{"channel":"voice","code":"window","hours":"08:00–22:00"}],"gate":"window","reason":"outside_hours",
"source":"the bank's own choice, after the convention for collection","until":"<time>"},{"answer":"ok","detail":[
{"code":"cap","count":0,"days":31,"limit":6,"of":"customer"}],{"answer":"ok","detail":[{"channel":"sms",
"code":"rung","why":"no_address"},"gate":"channel","reason":"reachable"}],"hash":"<hash>","policy":"cn@<6 bytes>",
"previous":"<hash before>","reason":"outside_hours","state":"planned","time":"<time>","until":"<time>",
"zones":["Asia/Shanghai"]}{"alerts":[],"assurance":"voice","attempt":2,"channel":"voice","did":[["card","release",
"cardholder_yes"],["label","genuine"],["contact","completed","released"]],"event":"answered","hash":"<hash>",
"previous":"<32 bytes>","state":"released","time":"<time>","trusted":true,"word":"yes"}{"answer":"ok","detail":[
{"channel":"voice","code":"window","hours":"00:00–24:00","zones":4}],"hash":"<hash>","policy":"demo@<6 bytes>",
"previous":"<hash before>","sender":"","state":"sending","time":"<time>","told":[{"channel":"voice","language":"en",
"text":{"no":"Thank you. Your card is now blocked. Cardwatch Bank will call you.",
"say":"This is Cardwatch Bank. Your card ending  was just used for CNY  Press 1 if it was you. Press 2 if it was not
 you.","voicemail":"This is Cardwatch Bank. Please call the number on your card.",
"yes":"Thank you. In a moment your card can be used again. Then please try once more."},"zones":["Asia/Shanghai",
"Europe/London","America/New_York","America/Los_Angeles"]}{"did":[["contact","escalated","no_address"]],
"event":"barred","gates":[{"answer":"ok","gate":"class","reason":"allowed",
"source":"PIPL art. 13(1)(2): needed for the contract with the cardholder"},{"answer":"ok","gate":"protections",
"reason":"none","source":"the bank's own choice: people, not machines, write to an estate"},{"answer":"ok",
"gate":"stop","reason":"none","source":"PIPL art. 15, 44: consent may be withdrawn,
 processing refused; scope the bank's own choice"},{"answer":"ok","gate":"window","reason":"no_channel"},
{"answer":"ok","gate":"caps","reason":"none"},{"answer":"refused","detail":[{"channel":"sms","code":"rung",
"why":"no_address"},{"channel":"voice","code":"rung","kind":"mobile","why":"no_address"},{"channel":"voice",
"code":"rung","kind":"home","why":"no_address"},{"channel":"voice","code":"rung","kind":"work","why":"no_address"}],
"gate":"channel","reason":"no_address"}],"hash":"<hash>","policy":"cn@<6 bytes>","previous":"<hash before>",
"reason":"no_address","state":"escalated","time":"<time>","zones":["Asia/Shanghai"]}{"id":"<contact>",
"card":"tok_k1_<16 bytes>","customer":"<customer>","source_ms":<ms>,"class":"marketing","matters":[{"id":"<8 bytes>",
"template":"offer","variables":{"offer":"Lounges."},"until_ms":<ms>,"said_ms":<ms>}],"channels":["sms"]"attempt":2,
"did":[],{"answer":"ok","detail":[{"channel":"voice","code":"window","hours":"08:00–22:00"}],{"answer":"ok",
"detail":[{"code":"cap","count":1,"days":31,"limit":20,"of":"customer"}],{"answer":"ok","gate":"channel",
"reason":"voice","source":"the bank's own choice"}],"hash":"<hash>","policy":"demo@<6 bytes>",
"previous":"<32 bytes>","sender":"","state":"sending","time":"<time>","told":[{"channel":"voice","language":"en",
"text":{"no":"Thank you. Your card is now blocked. Cardwatch Bank will call you.",
"say":"This is Cardwatch Bank. Your card ending  was just used for CNY  Press 1 if it was you. Press 2 if it was not
 you.","voicemail":"This is Cardwatch Bank. Please call the number on your card.",
"yes":"Thank you. In a moment your card can be used again. Then please try once more."}{"asks_about":["<8 bytes>"],
"attempt":1,"did":[],"event":"attempt","gates":[{"answer":"ok","gate":"class","reason":"allowed",
"source":"the bank's own choice: a demonstration"},{"answer":"ok","gate":"protections","reason":"none",
"source":"the bank's own choice"},{"answer":"ok","gate":"stop","reason":"none","source":"the bank's own choice"},
{"answer":"ok","gate":"consent","reason":"not_needed"},{"answer":"ok","detail":[{"channel":"sms","code":"window",
"hours":"08:00–22:00"}],"gate":"window","reason":"open","source":"the bank's own choice: any hour"},{"answer":"ok",
"gate":"preferred_hours","reason":"not_asked"},{"answer":"ok","detail":[{"code":"cap","count":0,"days":31,"limit":20,
"of":"customer"}],"gate":"caps","reason":"below","source":"the bank's own choice"},{"answer":"ok","gate":"cool_down",
"reason":"not_asked"},{"answer":"ok","gate":"channel","reason":"sms","source":"the bank's own choice"}],
"hash":"<hash>","policy":"demo@<6 bytes>","previous":"<hash before>","sender":"","state":"sending","time":"<time>",
"told":[{"channel":"sms","language":"en","text":{"text":"Cardwatch Bank: your card ending  was used for CNY  Was it y
ou? Reply YES or NO. STOP for no more texts."},"to":"+***"}],"zones":["Asia/Shanghai"]}{"id":"<contact>",
"card":"<card>","customer":"<customer>","state":"sending","alerts":[{"id":"<8 bytes>","command":"hold","amount":,
"currency":"CNY","merchant":"","policy_version":"p_<4 bytes>","score":<fraction>}],"attempts":[
{"covers":["<8 bytes>"],"channel":"sms","address":"k<9 bytes>"}],"tries":1,"source_ms":<ms>,"held_ms":<ms>,
"due_ms":<ms>,"proof":"<32 bytes>"}{"did":[["contact","escalated","no_address"]],"event":"barred","gates":[
{"answer":"ok","gate":"class","reason":"allowed","source":"TCPA, 47 CFR 64.1200(a)(9)(iii): exempted fraud alerts,
 free to the recipient, ≤ 160 characters, no marketing or debt"},{"answer":"ok","gate":"protections","reason":"none",
"source":"the bank's own choice: people, not machines, write to an estate"},{"answer":"ok","gate":"stop",
"reason":"none","source":"TCPA, 47 CFR 64.1200(a)(10): revoked by any reasonable means, STOP; the scope is data,
 here this class alone"},{"answer":"ok","gate":"consent","reason":"not_needed"},{"answer":"ok","gate":"window",
"reason":"no_channel"},{"answer":"ok","gate":"preferred_hours","reason":"not_asked"},{"answer":"ok","gate":"caps",
"reason":"none"},{"answer":"ok","gate":"cool_down","reason":"not_asked"},{"answer":"refused","detail":[
{"channel":"sms","code":"rung","why":"no_address"},{"channel":"voice","code":"rung","kind":"mobile",
"why":"no_address"},{"channel":"voice","code":"rung","kind":"home","why":"no_address"},{"channel":"voice",
"code":"rung","kind":"work","why":"no_address"}],"gate":"channel","reason":"no_address"}],"hash":"<hash>",
"policy":"us@<6 bytes>","previous":"<hash before>","reason":"no_address","state":"escalated","time":"<time>",
"zones":["America/New_York","America/Chicago","America/Denver","America/Phoenix","America/Los_Angeles",
"America/Anchorage","America/Adak","Pacific/Honolulu"]}{"attempt":1,"call":"SM<16 bytes>","did":[],
"event":"accepted","hash":"<hash>","previous":"<32 bytes>","state":"ringing","time":"<time>"}
{"asks_about":["<8 bytes>"],"attempt":1,"did":[],"event":"attempt","gates":[{"answer":"ok","gate":"class",
"reason":"allowed","source":"PIPL art. 13(1)(2): needed for the contract with the cardholder"},{"answer":"ok",
"gate":"protections","reason":"none","source":"the bank's own choice: people, not machines, write to an estate"},
{"answer":"ok","gate":"stop","reason":"none","source":"PIPL art. 15, 44: consent may be withdrawn,
 processing refused; scope the bank's own choice"},{"answer":"ok","gate":"consent","reason":"not_needed"},
{"answer":"ok","detail":[{"channel":"sms","code":"window","hours":"08:00–22:00"}],"gate":"window","reason":"open",
"source":"the bank's own choice, after the convention for collection"},{"answer":"ok","gate":"preferred_hours",
"reason":"not_asked"},{"answer":"ok","detail":[{"code":"cap","count":0,"days":31,"limit":6,"of":"customer"}],
"gate":"caps","reason":"below","source":"the bank's own choice"},{"answer":"ok","gate":"cool_down",
"reason":"not_asked"},{"answer":"ok","detail":[{"channel":"voice","code":"rung","kind":"home","why":"no_address"},
{"channel":"voice","code":"rung","kind":"work","why":"no_address"}],"gate":"channel","reason":"sms",
"source":"the bank's own choice"}],"hash":"<hash>","policy":"cn@<6 bytes>","previous":"<hash before>","sender":"",
"state":"sending","time":"<time>","told":[{"channel":"sms","language":"en","text":
{"text":"Cardwatch Bank: your card ending  was used for CNY  Was it you? Reply YES or NO. STOP for no more texts."},
"to":"+***"}],"zones":["Asia/Shanghai"]}{"did":[],"event":"deferred","gates":[{"answer":"ok","gate":"class",
"reason":"allowed","source":"PIPL art. 13(1)(2): needed for the contract with the cardholder"},{"answer":"ok",
"gate":"protections","reason":"none","source":"the bank's own choice: people, not machines, write to an estate"},
{"answer":"ok","gate":"stop","reason":"none","source":"PIPL art. 15, 44: consent may be withdrawn,
 processing refused; scope the bank's own choice"},{"answer":"ok","gate":"consent","reason":"not_needed"},
{"answer":"until","detail":[{"channel":"voice","code":"window","hours":"08:00–22:00"}],"gate":"window",
"reason":"outside_hours","source":"the bank's own choice, after the convention for collection","until":"<time>"},
{"answer":"ok","gate":"preferred_hours","reason":"not_asked"},{"answer":"ok","detail":[{"code":"cap","count":0,
"days":31,"limit":6,"of":"customer"}],"gate":"caps","reason":"below","source":"the bank's own choice"},
{"answer":"ok","gate":"cool_down","reason":"not_asked"},{"answer":"ok","detail":[{"channel":"sms","code":"rung",
"why":"no_address"},{"channel":"voice","code":"rung","kind":"mobile","why":"no_address"},{"channel":"voice",
"code":"rung","kind":"work","why":"no_address"}],"gate":"channel","reason":"reachable"}],"hash":"<hash>",
"policy":"cn@<6 bytes>","previous":"<hash before>","reason":"outside_hours","state":"planned","time":"<time>",
"until":"<time>","zones":["Asia/Shanghai"]}{"alert":{"amount":,"command":"hold","country":"","currency":"CNY",
"id":"<8 bytes>","merchant":"","policy_version":"p_<4 bytes>","score":<fraction>},"card":"tok_k1_<16 bytes>",
"customer":"cu_<4 bytes>","did":[["card","hold","suspected_fraud"]],"event":"alert","exempt":false,"hash":"<hash>",
"notice":false,"previous":"<contact>","state":"planned","time":"<time>"}{"id":"<contact>","card":"<card>",
"customer":"<customer>","state":"escalated","alerts":[{"id":"<8 bytes>","command":"hold","amount":,"currency":"CNY",
"merchant":"","policy_version":"p_<4 bytes>","score":<fraction>,"exposure":<fraction>,"merchant_id":"m<5 bytes>",
"mcc":"","country":""}],"source_ms":<ms>,"held_ms":<ms>,"due_ms":<ms>,"proof":"<32 bytes>"}{"id":"<contact>",
"card":"<card>","customer":"<customer>","state":"ringing","alerts":[{"id":"<8 bytes>","command":"hold","amount":,
"currency":"CNY","merchant":"","policy_version":"p_<4 bytes>","score":<fraction>,"exposure":<fraction>,
"merchant_id":"m<5 bytes>","mcc":"","country":""}],"attempts":[{"covers":["<8 bytes>"],"channel":"sms",
"address":"k<9 bytes>","call":"SM<16 bytes>"}],"tries":1,"source_ms":<ms>,"held_ms":<ms>,"due_ms":<ms>,
"proof":"<32 bytes>"}{"id":"<contact>","card":"<card>","customer":"<customer>","alerts":[{"id":"<8 bytes>",
"command":"hold","amount":,"currency":"CNY","merchant":"","policy_version":"p_<4 bytes>","score":<fraction>,
"exposure":<fraction>,"merchant_id":"m<5 bytes>","mcc":"","country":""}],"source_ms":<ms>,"held_ms":<ms>,
"due_ms":<ms>,"proof":"<32 bytes>"}
"""


def _marked(text: str) -> bytes:
    for word, mark in MARKS.items():
        text = text.replace(f"<{word}>", mark.decode())
    return re.sub(r"<(\d+) bytes>", lambda found: run_of(int(found[1])).decode(), text).encode()


WORDS = _marked(_TEXT.replace("\n", ""))
"""In the text each mark stands as what it is a mark for."""
