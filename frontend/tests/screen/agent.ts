import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The agent's screen as a program: an example of the crate, built by `cargo build --examples`. */
export const PROGRAM =
  process.env.SHELLPORT_SCREEN ??
  fileURLToPath(new URL("../../../target/debug/examples/snapshot", import.meta.url));

export const isBuilt = existsSync(PROGRAM);

/** A change of size, or output. */
export type Step = { cols: number; rows: number } | Uint8Array;

export interface Snapshot {
  bytes: Uint8Array;
  /** How many bytes before the end of the output it is valid at. */
  begun: number;
}

/** Draws output as the agent does. */
export class AgentScreen {
  readonly #child = spawn(PROGRAM, { stdio: ["pipe", "pipe", "inherit"] });
  readonly #lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  /** The snapshot after these steps. */
  async snapshot(cols: number, rows: number, steps: Step[]): Promise<Snapshot> {
    const words = steps.map((step) =>
      step instanceof Uint8Array ? Buffer.from(step).toString("hex") : `${step.cols}x${step.rows}`,
    );
    this.#child.stdin.write(`${cols}x${rows} ${words.join(" ")}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new Error(`the screen died of ${JSON.stringify(words)}`);
    const [begun, hex] = (line.value as string).split(" ");
    return { bytes: Buffer.from(hex ?? "", "hex"), begun: Number(begun) };
  }

  end(): void {
    this.#child.stdin.end();
  }
}
