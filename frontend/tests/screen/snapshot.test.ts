import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { AgentScreen, isBuilt, PROGRAM } from "./agent";
import { differences, told, type Cut } from "./compare";
import { fixtures } from "./fixtures";
import { known, knownResized } from "./known";
import { piece, Random } from "./streams";

// A viewer who gets a snapshot and what comes after it has to see what one sees who was there from the start.

if (!isBuilt) console.warn(`skip: snapshots against xterm.js (${PROGRAM} is not built)`);

const STREAMS = 10_000;
const RESIZED = 3_000;
const CUTS_OF_RECORDING = 12;
const recordings = new URL("../../../testdata/recordings/", import.meta.url);

describe.skipIf(!isBuilt)("a snapshot and the rest are the whole", () => {
  const agent = isBuilt ? new AgentScreen() : undefined!;
  afterAll(() => agent?.end());

  const check = async (cut: Cut) => {
    const lines = await differences(agent, cut);
    expect(lines.length === 0 ? "" : told(cut, lines)).toBe("");
  };

  test.each(Object.entries(fixtures))("%s", async (_, text) => {
    const output = Buffer.from(text);
    for (let at = 0; at <= output.length; at += 1) await check({ cols: 22, rows: 5, output, at });
    for (const resize of [
      { cols: 30, rows: 5 },
      { cols: 15, rows: 5 },
      { cols: 22, rows: 8 },
      { cols: 22, rows: 3 },
    ]) {
      await check({ cols: 22, rows: 5, output, at: output.length, resize });
    }
  });

  test.each(readdirSync(recordings))("a recording of %s", async (name) => {
    const output = readFileSync(new URL(name, recordings));
    const random = new Random(output.length);
    for (let count = 0; count < CUTS_OF_RECORDING; count += 1) {
      await check({ cols: 80, rows: 24, output, at: random.below(output.length + 1) });
    }
    const resize = { cols: 70, rows: 20 };
    await check({ cols: 80, rows: 24, output, at: output.length, resize });
  });

  test.each([
    ["", STREAMS, generated, known],
    [", with another size in the middle", RESIZED, resized, knownResized],
  ] as const)("generated streams%s", { timeout: 300_000 }, async (_, count, generate, but) => {
    const wrong: string[] = [];
    for (let seed = 0; seed < count; seed += 1) {
      const cut = generate(seed);
      const lines = await differences(agent, cut);
      const isKnown = seed in but;
      if (lines.length > 0 !== isKnown) wrong.push(`${seed}: ${told(cut, lines)}`);
    }
    expect(wrong.slice(0, 3).join("\n\n")).toBe("");
  });
});

/**
 * The stream of this number, with another size in the middle. Not one with fewer rows: xterm.js then keeps
 * lines that scroll off the alternate screen, if it was not shown before.
 */
function resized(seed: number): Cut {
  const { resize: _, ...cut } = generated(seed);
  const random = new Random(~seed);
  const at = random.below(cut.at + 1);
  return { ...cut, before: { cols: 4 + random.below(30), rows: cut.rows + random.below(4), at } };
}

/** The stream of this number. */
function generated(seed: number): Cut {
  const random = new Random(seed);
  const size = () => ({ cols: 4 + random.below(30), rows: 2 + random.below(8) });
  const { cols, rows } = size();
  const count = 1 + random.below(60);
  const pieces = Array.from({ length: count }, () => piece(random, cols, rows));
  const output = Buffer.from(pieces.join(""));
  const at = random.below(output.length + 1);
  const resized = random.below(4) === 0 ? { resize: size() } : {};
  return { cols, rows, output, at, ...resized };
}
