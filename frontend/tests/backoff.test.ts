import { expect, test } from "vitest";
import { backoffDelay } from "../src/lib/connection/backoff";

const longest = () => 1;
const shortest = () => 0;

test("doubles from a quarter of a second to at most ten seconds", () => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 60].map((failures) => backoffDelay(failures, longest));
  expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test("is multiplied by a factor between a half and one", () => {
  expect(backoffDelay(0, shortest)).toBe(125);
  expect(backoffDelay(60, shortest)).toBe(5000);
  for (let run = 0; run < 100; run += 1) {
    const delay = backoffDelay(2);
    expect(delay).toBeGreaterThanOrEqual(500);
    expect(delay).toBeLessThanOrEqual(1000);
  }
});
