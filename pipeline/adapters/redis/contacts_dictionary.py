"""What the values of the contact store have in common, given to deflate beforehand by `contacts_packing`.

Never change it: what was packed with it can only be unpacked with it. It holds gates of the shipped contact profiles,
texts of the shipped messages, entries of dossiers and a conversation, as they were when it was made; the commonest stand
last, where they cost least. That others come since is no harm: they are packed a little less.
"""

_TEXT = """
{"answer":"ok","gate":"class","reason":"allowed","source":"TRAI TCCCPR 2018: service and transactional
 communication"},{"answer":"ok","gate":"stop","reason":"none","source":"TRAI TCCCPR 2018: preference and opt-out;
 scope the bank's own choice"},{"answer":"until","detail":"voice 08:00–19:00","gate":"window",
"reason":"outside_hours","source":"RBI/2022-23/108 (12 August 2022): none before 08:00 or after 19:00",
"until":"2026-,{"answer":"ok","detail":"voice 08:00–19:00","gate":"window","reason":"open",
"source":"RBI/2022-23/108 (12 August 2022): none before 08:00 or after 19:00"},{"answer":"ok","detail":"sms:
 no_address, voice:mobile: no_address, voice:work: no_address","gate":"channel","reason":"voice","source":"DoT/TRAI
 numbering: 1600xx for service calls"},{"answer":"ok","detail":"sms","gate":"window","reason":"quiet","source":"the
 bank's own choice: the rule is on recovery; a hold is told at once, silently"},{"answer":"ok","detail":"voice:home:
 no_address, voice:work: no_address","gate":"channel","reason":"sms","source":"the bank's own choice; SMS headers
 and templates as registered (TCCCPR 2018)"},{"answer":"ok","detail":"sms 08:00–19:00","gate":"window",
"reason":"open","source":"RBI/2022-23/108 (12 August 2022): none before 08:00 or after 19:00"},{"answer":"ok",
"gate":"class","reason":"allowed","source":"GDPR art. 6(1)(b), (f); PSD2 art. 68, 73"},{"answer":"ok","gate":"stop",
"reason":"none","source":"GDPR art. 7(3), 21: withdrawal and objection; scope the bank's own choice"},
{"answer":"until","detail":"voice 08:00–21:00","gate":"window","reason":"outside_hours","source":"the bank's own
 choice","until":"2026-,{"answer":"ok","detail":"voice 08:00–21:00","gate":"window","reason":"open","source":"the
 bank's own choice"},{"answer":"ok","detail":"sms: no_address, voice:mobile: no_address, voice:work: no_address",
"gate":"channel","reason":"voice","source":"the bank's own choice"},{"answer":"ok","detail":"sms","gate":"window",
"reason":"quiet","source":"the bank's own choice: a hold is told at once, silently"},{"answer":"ok","detail":"sms
 08:00–21:00","gate":"window","reason":"open","source":"the bank's own choice"},{"answer":"ok","gate":"class",
"reason":"allowed","source":"UK GDPR art. 6(1)(b), (f); Payment Services Regulations 2017 reg. 71"},{"answer":"ok",
"gate":"stop","reason":"none","source":"FCA CONC 7.9: how the customer wishes to be contacted; scope the bank's own
 choice"},{"answer":"ok","gate":"class","reason":"allowed","source":"TCPA, 47 CFR 64.1200(a)(9)(iii): exempted fraud
 alerts, free to the recipient, ≤ 160 characters, no marketing or debt"},{"answer":"ok","gate":"stop",
"reason":"none","source":"TCPA, 47 CFR 64.1200(a)(10): revoked by any reasonable means, STOP; the scope is data,
 here this class alone"},{"answer":"until","detail":"voice 08:00–21:00 in all of 8 zones","gate":"window",
"reason":"outside_hours","source":"TCPA, 47 CFR 64.1200(c)(1): 08:00–21:00 at the called party's location",
"until":"2026-,{"answer":"ok","detail":"0 of 3 in 31 d of the customer","gate":"caps","reason":"below",
"source":"TCPA, 47 CFR 64.1200(a)(9)(iii): ≤ 3 messages per event over 3 days, SMS and calls together (here: no
 more after them)"},{"answer":"ok","detail":"voice 08:00–21:00 in all of 8 zones","gate":"window","reason":"open",
"source":"TCPA, 47 CFR 64.1200(c)(1): 08:00–21:00 at the called party's location"},{"answer":"ok","detail":"sms:
 no_address, voice:mobile: no_address, voice:work: no_address","gate":"channel","reason":"voice","source":"TCPA, 47
 CFR 64.1200(a)(9)(iii)(A): only to the number the customer gave; 47 CFR 64.1601: caller id"},{"answer":"until",
"detail":"sms 08:00–21:00 in all of 8 zones","gate":"window","reason":"outside_hours","source":"TCPA, 47 CFR
 64.1200(c)(1): 08:00–21:00 at the called party's location","until":"2026-,{"answer":"ok","detail":"voice:home:
 no_address, voice:work: no_address","gate":"channel","reason":"reachable"},{"answer":"ok","detail":"sms 08:00–21:00
 in all of 8 zones","gate":"window","reason":"open","source":"TCPA, 47 CFR 64.1200(c)(1): 08:00–21:00 at the called
 party's location"},{"answer":"ok","detail":"voice:home: no_address, voice:work: no_address","gate":"channel",
"reason":"sms","source":"TCPA, 47 CFR 64.1200(a)(9)(iii)(A): only to the number the customer gave; 47 CFR 64.1601:
 caller id"},{"answer":"ok","detail":"voice 00:00–24:00","gate":"window","reason":"open","source":"the bank's own
 choice: any hour"},{"answer":"ok","detail":"sms: no_address","gate":"channel","reason":"voice","source":"the bank's
 own choice"},{"answer":"ok","detail":"voice 08:00–22:00","gate":"window","reason":"open","source":"the bank's own
 choice, after the convention for collection"},{"asks_about":["","attempt":1,"did":[],"event":"attempt",
"gates":[{"answer":"ok","gate":"class","reason":"allowed","source":"the bank's own choice: a demonstration"},
{"answer":"ok","gate":"protections","reason":"none","source":"the bank's own choice"},{"answer":"ok","gate":"stop",
"reason":"none","source":"the bank's own choice"},{"answer":"ok","gate":"consent","reason":"not_needed"},
{"answer":"ok","detail":"sms 00:00–24:00","gate":"window","reason":"open","source":"the bank's own choice: any
 hour"},{"answer":"ok","gate":"preferred_hours","reason":"not_asked"},{"answer":"ok","detail":"0 of 20 in 31 d of
 the customer","gate":"caps","reason":"below","source":"the bank's own choice"},{"answer":"ok","gate":"cool_down",
"reason":"not_asked"},{"answer":"ok","gate":"channel","reason":"sms","source":"the bank's own
 choice"}]{"channel":"voice","language":"zh-CN","text":{"no":"谢谢。您的卡片已被止付，Cardwatch Bank将与您联系。",
"say":"您好，这里是Cardwatch Bank。您尾号的卡片刚刚在有一笔元的交易。本人操作请按1，非本人操作请按2。","voicemail":"这里是Cardwatch Bank，请拨打卡片背面的客服电话。",
"yes":"谢谢。您的卡片即将恢复使用，请稍候再试。"},"to":"+***"}{"channel":"voice","language":"en","text":{"no":"Thank you. Your card is
 now blocked. Cardwatch Bank will call you.","say":"This is Cardwatch Bank. Your card ending  was just used for CNY
  at . Press 1 if it was you. Press 2 if it was not you.","voicemail":"This is Cardwatch Bank. Please call the number
 on your card.","yes":"Thank you. In a moment your card can be used again. Then please try once more."},
"to":"+***"}{"channel":"sms","language":"zh-CN","text":{"text":"【Cardwatch Bank】您尾号的卡在交易元。本人操作回复1，非本人回复2，退订回复T。"},
"to":"+***"}{"channel":"sms","language":"en","text":{"text":"Cardwatch Bank: your card ending  was used for CNY  at
 . Was it you? Reply YES or NO. STOP for no more texts."},"to":"+***"}"gates":[{"answer":"ok","gate":"class",
"reason":"allowed","source":"PIPL art. 13(1)(2): needed for the contract with the cardholder"},{"answer":"ok",
"gate":"protections","reason":"none","source":"the bank's own choice: people, not machines, write to an estate"},
{"answer":"ok","gate":"stop","reason":"none","source":"PIPL art. 15, 44: consent may be withdrawn, processing
 refused; scope the bank's own choice"},{"answer":"ok","gate":"consent","reason":"not_needed"},{"answer":"ok",
"detail":"sms 08:00–22:00","gate":"window","reason":"open","source":"the bank's own choice, after the convention
 for collection"},{"answer":"ok","gate":"preferred_hours","reason":"not_asked"},{"answer":"ok","detail":"0 of 6 in
 31 d of the customer","gate":"caps","reason":"below","source":"the bank's own choice"},{"answer":"ok",
"gate":"cool_down","reason":"not_asked"},{"answer":"ok","detail":"voice:home: no_address, voice:work: no_address",
"gate":"channel","reason":"sms","source":"the bank's own choice"}],"hash":"","policy":"cn@","previous":"",
"sender":"","state":"sending","time":"2026-1","told":[],"zones":["Asia/Shanghai"]}{"did":[],"event":"deferred",
"gates":[{"answer":"ok","gate":"class","reason":"allowed","source":"PIPL art. 13(1)(2): needed for the contract
 with the cardholder"},{"answer":"ok","gate":"protections","reason":"none","source":"the bank's own choice: people,
 not machines, write to an estate"},{"answer":"ok","gate":"stop","reason":"none","source":"PIPL art. 15, 44: consent
 may be withdrawn, processing refused; scope the bank's own choice"},{"answer":"ok","gate":"consent",
"reason":"not_needed"},{"answer":"until","detail":"voice 08:00–22:00","gate":"window","reason":"outside_hours",
"source":"the bank's own choice, after the convention for collection","until":"2026-03-03T00:00:00.000Z"},
{"answer":"ok","gate":"preferred_hours","reason":"not_asked"},{"answer":"ok","detail":"0 of 6 in 31 d of the
 customer","gate":"caps","reason":"below","source":"the bank's own choice"},{"answer":"ok","gate":"cool_down",
"reason":"not_asked"},{"answer":"ok","detail":"sms: no_address, voice:mobile: no_address, voice:work: no_address",
"gate":"channel","reason":"reachable"}],"hash":"","policy":"cn@","previous":"","reason":"outside_hours",
"state":"planned","time":"2026-1:00.000Z","until":"2026-1T00:00:00.000Z",
"zones":["Asia/Shanghai"]}{"assurance":"app","attempt":1,"channel":"app","did":[["contact","escalated",
"answer_agent"]],"event":"answered",,"reason":"hung_up","reason":"voicemail","reason":"wrong_key",
"reason":"rejected","reason":"refused","reason":"failed","reason":"lost","away":true,"permanent":true,
"state":"unknown","state":"expired","state":"cancelled","state":"releasing","state":"blocked","event":"timed_out",
"event":"going_on","event":"absent","event":"unasked","event":"refused","event":"barred","event":"hand_over_ended",
"event":"acknowledged","event":"switch_silent",{"attempt":2,"away":false,"did":[],"event":"refused","hash":,
"permanent":false,{"attempt":1,"did":[["contact","escalated","calls_used_up"]],"event":"ended",,
"reason":"no_answer","state":"escalated",,"reason":"busy","state":"planned"{"assurance":"voice","attempt":1,
"channel":"voice","did":[["card","block","cardholder_no"],["label","fraud"],["contact","completed","blocked"]],
"trusted":true,"word":"no"}{"assurance":"sms","attempt":1,"channel":"sms","did":[["card","release",
"cardholder_yes"],["label","genuine"],["contact","completed","released"]],"event":"answered","hash":,"previous":,
"state":"released","time":"2026-,"trusted":true,"word":"yes"}{"attempt":1,"did":[],"event":"silent","hash":,
"state":"planned"{"attempt":1,"call":"SM,"did":[],"event":"delivered","hash":,"previous":,"state":"ringing",
"time":"2026-{"attempt":1,"call":"CA,"did":[],"event":"accepted","hash":"","previous":"","state":"ringing",
"time":"2026-"command":"limit","scope":"ecommerce","currency":"USD","currency":"EUR","currency":"GBP",
"currency":"INR","country":"US","country":"GB","country":"IN","verdict":"genuine","verdict":"fraud",
"hard":true"state":"released","state":"escalated","thanks":1,"held_ms":1,"rung":1,"tries":2,"asks":1,"heard":["yes",
"sms"],"sender":"{"id":"<contact>","card":"<card>","customer":"<customer>","state":"planned","alerts":[{"id":"",
"command":"hold","amount":,"currency":"CNY","merchant":"","policy_version":"","score":0.,"exposure":,
"merchant_id":"m","mcc":"","country":"CN"}],"attempts":[{"covers":["",""],"channel":"voice","address":"",
"call":"CA"},"channel":"sms","address":"","call":"SM"}],"rung":1,"tries":1,"source_ms":179,"held_ms":179,
"due_ms":179,"proof":"{"alert":{"amount":,"command":"hold","country":"CN","currency":"CNY","id":"","merchant":"",
"policy_version":"p_","score":0.9},"card":"<card>","customer":"<customer>","did":[["card","hold",
"suspected_fraud"]],"event":"alert","exempt":false,"hash":"","notice":false,"previous":"<contact>",
"state":"planned","time":"2026-1"}
"""

WORDS = _TEXT.replace("\n", "").encode()
"""With ``<contact>``, ``<card>`` and ``<customer>`` where the names of the conversation go."""
