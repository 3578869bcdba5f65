import { expect, test } from "vitest";
import type { ServerInfo, Session } from "../src/lib/api/types";
import { creationBody, emptyDraft, imageChoices, repeatBody } from "../src/lib/draft";

test("an empty form asks for nothing", () => {
  expect(creationBody(emptyDraft(), false)).toEqual({});
});

test("only what was filled in is asked for", () => {
  const draft = { ...emptyDraft(), image: " alpine:3 ", cpus: "0,5", memory: "512Mi", profile: "strict" as const };
  expect(creationBody(draft, false)).toEqual({ image: "alpine:3", cpus: 0.5, memory: "512Mi", profile: "strict" });
});

test("a server without isolation is asked for no image and no limits", () => {
  const draft = { ...emptyDraft(), image: "alpine:3", memory: "1g", name: "n", ttl: "8h" };
  expect(creationBody(draft, true)).toEqual({ name: "n", ttl: "8h" });
});

test("the default image comes first, and once", () => {
  const info = { defaults: { image: "alpine:3" } } as ServerInfo;
  expect(imageChoices(info).slice(0, 2)).toEqual(["alpine:3", "debian:stable-slim"]);
  expect(imageChoices(info).filter((image) => image === "alpine:3").length).toBe(1);
});

test("a session is created again with what it was created with", () => {
  const session = {
    id: "1",
    state: "failed",
    name: "n",
    image: "alpine:3",
    command: null,
    memory: "1024",
    labels: { team: "a" },
    created_at: "2026-01-01T00:00:00Z",
    expires_at: "2026-01-01T08:00:00Z",
    cwd: null,
    user: null,
    cpus: null,
    pids: null,
    network: "none",
    profile: "strict",
    idle_timeout: null,
  } as unknown as Session;
  expect(repeatBody(session)).toEqual({
    name: "n",
    image: "alpine:3",
    memory: "1024",
    labels: { team: "a" },
    network: "none",
    profile: "strict",
    ttl: "28800s",
  });
});
