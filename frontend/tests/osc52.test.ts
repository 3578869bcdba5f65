import { expect, test } from "vitest";
import { LONGEST_OFFER, offeredText } from "../src/lib/terminal/osc52";

const base64 = (text: string) => Buffer.from(text).toString("base64");

test.each(["c", "", "p", "s", "pc", "s0", "q0c"])("text for the targets %j is offered", (targets) => {
  expect(offeredText(`${targets};${base64("söme text\n")}`)).toBe("söme text\n");
});

test.each(["0", "q", "07"])("the targets %j are not a clipboard", (targets) => {
  expect(offeredText(`${targets};${base64("text")}`)).toBeNull();
});

test.each(["c;?", ";?", "c;?;x", "?", "", "c", "c;!!", "c;YQ=", "c;/w==", "x;YQ==", "c;YQ==;YQ=="])(
  "%j offers nothing",
  (data) => {
    expect(offeredText(data)).toBeNull();
  },
);

test("what is too long is not offered", () => {
  expect(offeredText(`c;${base64("x".repeat(LONGEST_OFFER))}`)).toHaveLength(LONGEST_OFFER);
  expect(offeredText(`c;${base64("x".repeat(LONGEST_OFFER + 1))}`)).toBeNull();
});
