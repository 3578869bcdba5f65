import { describe, expect, test } from "vitest";
import { formatBytes } from "../src/lib/format/bytes";
import { describeExit } from "../src/lib/format/exit";
import { sessionTitle, shortId, stateReason } from "../src/lib/format/session";
import { formatAge } from "../src/lib/format/time";

test.each([
  [0, "just now"],
  [59, "just now"],
  [60, "1 min"],
  [3599, "59 min"],
  [3600, "1 h"],
  [86_399, "23 h"],
  [86_400, "1 d"],
  [-5, "just now"],
])("an age of %d seconds is %s", (seconds, expected) => {
  const now = Date.parse("2026-01-02T03:04:05Z");
  expect(formatAge(new Date(now - seconds * 1000).toISOString(), now)).toBe(expected);
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1 KiB"],
  [1536, "1.5 KiB"],
  [512 * 1024 ** 2, "512 MiB"],
  [2 * 1024 ** 3, "2 GiB"],
  [1.5 * 1024 ** 3, "1.5 GiB"],
])("%d bytes are %s", (bytes, expected) => {
  expect(formatBytes(bytes)).toBe(expected);
});

describe("exits", () => {
  test.each([
    [{ code: 0, signal: null, reason: "exited" }, "The shell exited."],
    [{ code: 7, signal: null, reason: "exited" }, "The shell exited with code 7."],
    [{ code: null, signal: "SIGKILL", reason: "signaled" }, "The shell was ended by SIGKILL."],
    [{ code: null, signal: "SIGKILL", reason: "oom" }, "The shell was ended because the sandbox ran out of memory."],
    [{ code: null, signal: "SIGHUP", reason: "stopped" }, "The shell was stopped."],
    [{ code: null, signal: null, reason: "lost" }, "The shell is gone; how it ended was not seen."],
    [{ code: null, signal: null, reason: "eaten" }, "The shell has ended (eaten)."],
  ])("%j", (exit, expected) => {
    expect(describeExit(exit)).toBe(expected);
  });
});

test("a session is called by its name, or by the part of its id that differs", () => {
  expect(sessionTitle({ id: "0199aaaabbbbccccdddd", name: "build" })).toBe("build");
  expect(sessionTitle({ id: "0199aaaabbbbccccdddd", name: null })).toBe("ccccdddd");
  expect(shortId("abc123")).toBe("abc123");
});

test.each([
  ["the image is gone", "image_not_available", "The image is gone"],
  [null, "sandbox_missing", "sandbox missing"],
  [null, "stopped", null],
  [null, null, null],
])("the message %j and the reason %j are told as %j", (state_message, state_reason, expected) => {
  expect(stateReason({ state_message, state_reason })).toBe(expected);
});
