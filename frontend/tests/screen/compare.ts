import type { AgentScreen } from "./agent";
import { Oracle } from "./state";

/** A stream of output that is cut at a place, and perhaps a size that the terminal gets in the end. */
export interface Cut {
  cols: number;
  rows: number;
  output: Uint8Array;
  /** Another size from a place before the cut on. */
  before?: { cols: number; rows: number; at: number };
  at: number;
  resize?: { cols: number; rows: number };
}

/**
 * The lines in which the whole output and a snapshot with the rest of the output differ. None, when a viewer
 * who comes at the cut sees what all others see.
 */
export async function differences(agent: AgentScreen, cut: Cut): Promise<string[]> {
  const { cols, rows, output, before, at, resize } = cut;
  const steps = before
    ? [output.subarray(0, before.at), before, output.subarray(before.at, at)]
    : [output.subarray(0, at)];
  const snapshot = await agent.snapshot(cols, rows, steps);
  const whole = new Oracle(cols, rows);
  const now = before ?? cut;
  const restored = new Oracle(now.cols, now.rows);
  try {
    const from = at - snapshot.begun;
    if (before) {
      // Where a sequence goes on behind another size, the snapshot is valid before it.
      if (from < before.at) return [];
      whole.write(output.subarray(0, before.at));
      whole.resize(before.cols, before.rows);
    }
    whole.write(output.subarray(before?.at ?? 0, from));
    restored.write(snapshot.bytes);
    if (restored.answers !== "") return [`the snapshot asks for ${JSON.stringify(restored.answers)}`];
    for (const terminal of [whole, restored]) {
      terminal.write(output.subarray(from));
      if (resize) terminal.resize(resize.cols, resize.rows);
    }
    const expected = whole.state();
    const found = restored.state();
    const lines = Array.from({ length: Math.max(expected.length, found.length) }, (_, line) => line);
    return lines
      .filter((line) => !isSame(expected[line] ?? "", found[line] ?? ""))
      .map((line) => `${expected[line]}\n  but ${found[line]}`);
  } finally {
    whole.dispose();
    restored.dispose();
  }
}

/**
 * Whether two lines tell the same. xterm.js forgets where a link leads when the line goes in which it began,
 * also when text elsewhere is a part of it; a terminal that never had that line does not.
 */
function isSame(expected: string, found: string): boolean {
  const link = /link[^,}"|]*/g;
  const forgotten = /link[,}"]/;
  if (expected === found) return true;
  if (!forgotten.test(expected) && !forgotten.test(found)) return false;
  return expected.replace(link, "link") === found.replace(link, "link");
}

/** What goes wrong, to be repeated. */
export function told(cut: Cut, lines: string[]): string {
  const text = (bytes: Uint8Array) => JSON.stringify(Buffer.from(bytes).toString());
  const { cols, rows, output, before, at, resize } = cut;
  return [
    `${cols}x${rows}${before ? `, ${before.cols}x${before.rows} from ${before.at} on` : ""}${resize ? `, then ${resize.cols}x${resize.rows}` : ""}`,
    text(output.subarray(0, at)),
    text(output.subarray(at)),
    ...lines,
  ].join("\n");
}
