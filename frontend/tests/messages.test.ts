import { describe, expect, test } from "vitest";
import {
  encodeClientMessage,
  MessageError,
  parseServerMessage,
  type ClientMessage,
} from "../src/lib/wire/messages";
import { golden } from "./golden";

interface Golden {
  client: { type: string }[];
  server: { type: string }[];
}

const { client, server } = golden<Golden>("messages.json");

describe("golden messages", () => {
  test.each(server)("the server's $type is read", (message) => {
    expect(parseServerMessage(JSON.stringify(message))).toEqual(message);
  });

  // A browser sends no signals: the person types Ctrl-C.
  const sent = client.filter(({ type }) => type !== "signal");
  test.each(sent)("the client's $type is written", (message) => {
    expect(JSON.parse(encodeClientMessage(message as ClientMessage))).toEqual(message);
  });
});

describe("parsing", () => {
  test("an unknown type is ignored, and so is an unknown field", () => {
    expect(parseServerMessage('{"type":"weather","sun":true}')).toBeNull();
    expect(parseServerMessage('{"type":"toString"}')).toBeNull();
    expect(parseServerMessage('{"type":"pong","id":1,"new":2}')).toMatchObject({ type: "pong", id: 1 });
  });

  test.each([
    "",
    "[]",
    "null",
    '{"offset":1}',
    '{"type":"ack"}',
    '{"type":"ack","sequence":-1}',
    '{"type":"ack","sequence":1.5}',
    '{"type":"ack","sequence":9007199254740993}',
    '{"type":"resize","cols":0,"rows":24,"offset":0}',
    '{"type":"resize","cols":80,"rows":1001,"offset":0}',
    '{"type":"exit","code":"7","signal":null,"reason":"exited","offset":0}',
    '{"type":"exit","signal":null,"reason":"exited","offset":0}',
    '{"type":"hello","terminal":"main","role":"admin","cols":80,"rows":24,"offset":0,"start":"fresh","run":"r","sequence":0,"window":1}',
    '{"type":"hello","terminal":"main","role":"writer","cols":80,"rows":24,"offset":0,"start":"fresh","sequence":0,"window":1}',
  ])("%s is refused", (json) => {
    expect(() => parseServerMessage(json)).toThrow(MessageError);
  });
});
