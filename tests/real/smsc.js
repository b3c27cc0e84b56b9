// A message centre of node-smpp, for the tests: one JSON line out for each thing that happens, one in for each order.
//   node smsc.js [key.pem certificate.pem]     (NODE_PATH names the directory that has the module smpp)
// In: {"next": [status, …]} for submit_sm, {"state": n} for query_sm, {"deliver": {…}}, {"enquire": true}, {"drop": true}.
"use strict";
const fs = require("fs");
const readline = require("readline");
const smpp = require("smpp");

const tls = process.argv.length > 3 ? { key: fs.readFileSync(process.argv[2]), cert: fs.readFileSync(process.argv[3]) } : {};
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
let next = [];
let state = 1;
let taken = 0;
let bound = null;

const server = smpp.createServer(tls, (session) => {
  session.on("error", () => {});
  session.on("bind_transceiver", (pdu) => {
    const known = pdu.system_id === "bank" && pdu.password === "s3cret";
    session.send(pdu.response({ command_status: known ? 0 : smpp.ESME_RBINDFAIL }));
    say({ bind: known, version: pdu.interface_version });
    if (known) bound = session;
  });
  session.on("submit_sm", (pdu) => {
    const status = next.length ? next.shift() : 0;
    const { message, udh } = pdu.message_payload || pdu.short_message;
    say({
      submit: message,
      udh: udh ? udh.map((one) => one.toString("hex")) : null,
      payload: Boolean(pdu.message_payload),
      from: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr],
      to: [pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr],
      coding: pdu.data_coding,
      receipt: pdu.registered_delivery,
      valid_s: Math.round((pdu.validity_period - Date.now()) / 1000),
    });
    if (status === "drop") return session.destroy();
    session.send(pdu.response(status ? { command_status: status } : { message_id: "id-" + ++taken }));
  });
  session.on("query_sm", (pdu) => {
    say({ query: pdu.message_id });
    session.send(pdu.response({ message_id: pdu.message_id, message_state: state }));
  });
  session.on("enquire_link", (pdu) => {
    say({ enquired: true });
    session.send(pdu.response());
  });
  session.on("unbind", (pdu) => {
    say({ unbind: true });
    session.send(pdu.response());
    session.close();
  });
});

server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  if (order.next) next = order.next;
  if (order.state) state = order.state;
  if (order.deliver) bound.deliver_sm(order.deliver, (answer) => say({ answered: answer.command_status }));
  if (order.enquire) bound.enquire_link((answer) => say({ alive: answer.command_status }));
  if (order.drop) bound.destroy();
}).on("close", () => process.exit(0));
