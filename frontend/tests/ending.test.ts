import { expect, test } from "vitest";
import type { Session } from "../src/lib/api/types";
import { describeEnd, describeSession } from "../src/lib/ending";

const session = (fields: Partial<Session>) =>
  ({ state: "running", state_reason: null, state_message: null, command: null, main: null, ...fields }) as Session;

test("a session that runs or is about to has no ending", () => {
  for (const state of ["creating", "running", "paused", "stopping"] as const) {
    expect(describeSession(session({ state }))).toBeNull();
  }
});

test("a failure is explained by its message, or at least by its reason", () => {
  const failed = { state: "failed" as const, state_reason: "image_not_found" };
  expect(describeSession(session({ ...failed, state_message: "No such image." }))).toEqual({
    title: "The session could not be created",
    detail: "No such image.",
    offers: ["create-again", "back"],
  });
  expect(describeSession(session(failed))?.detail).toBe("image not found");
});

test("a stopped session can be started, and says how its program ended", () => {
  const main = { argv: ["sh"], exit: { code: 3, signal: null, reason: "exited" as const } };
  const ending = describeSession(session({ state: "stopped", main }));
  expect(ending).toMatchObject({ detail: "The shell exited with code 3.", offers: ["start", "back"] });
});

test("an exit offers a new shell first", () => {
  const exit = { type: "exit" as const, code: 7, signal: null, reason: "exited", offset: 1 };
  expect(describeEnd({ kind: "exit", exit }, session({}))).toEqual({
    title: "The shell exited with code 7.",
    detail: null,
    offers: ["new-shell", "back"],
  });
  const build = session({ command: ["make"] });
  expect(describeEnd({ kind: "exit", exit }, build).title).toBe("The program exited with code 7.");
  expect(describeEnd({ kind: "exit", exit }, build, "close").offers).toEqual(["new-shell", "close"]);
});

test.each([
  [4001, "The session has ended", "connect"],
  [4002, "The connection was ended", "connect"],
  [4003, "The terminal could not be started", "new-shell"],
])("close code %d: %s", (code, title, first) => {
  const ending = describeEnd({ kind: "closed", code, reason: "why" }, session({}));
  expect(ending).toMatchObject({ title, detail: "why" });
  expect(ending.offers[0]).toBe(first);
});
