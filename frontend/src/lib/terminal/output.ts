import type { Screen } from "../connection/connection";
import { unfinished } from "./utf8";

/** The part of xterm.js that output is written to; @xterm/headless in tests. */
export interface OutputTarget {
  write(data: Uint8Array, callback: () => void): void;
  resize(cols: number, rows: number): void;
  reset(): void;
}

type Task = { bytes: Uint8Array; replayed: boolean; parsed: () => void } | { run: () => unknown };

/**
 * Brings output, resizes and resets to the terminal in their order. xterm.js
 * parses what is written some time later but resizes and resets at once, so
 * those wait here until everything before them has been parsed.
 */
export class OutputQueue implements Screen {
  #waiting: Task[] = [];
  #parsing = 0;
  #replaying = 0;
  #answering = true;
  /** A character that has only begun; the next output ends it. */
  #begun = new Uint8Array();

  constructor(private readonly target: OutputTarget) {}

  /** A snapshot is being parsed: the terminal must not answer what is in it. */
  get replaying(): boolean {
    return this.#replaying > 0;
  }

  /** Whether what programs ask is this terminal's to answer. */
  get answering(): boolean {
    return this.#answering && !this.replaying;
  }

  answer(on: boolean): void {
    this.#add({ run: () => (this.#answering = on) });
  }

  write(bytes: Uint8Array, replayed: boolean, parsed: () => void): void {
    this.#add({ bytes, replayed, parsed });
  }

  resize(cols: number, rows: number): void {
    this.#add({ run: () => this.target.resize(cols, rows) });
  }

  reset(cols: number, rows: number): void {
    this.#add({
      run: () => {
        this.#begun = new Uint8Array();
        this.target.reset();
        this.target.resize(cols, rows);
      },
    });
  }

  settled(done: () => void): void {
    this.#add({ run: done });
  }

  #add(task: Task): void {
    this.#waiting.push(task);
    this.#advance();
  }

  #advance(): void {
    for (let task = this.#waiting[0]; task; task = this.#waiting[0]) {
      if ("run" in task) {
        if (this.#parsing > 0) return;
        this.#waiting.shift();
        task.run();
      } else {
        this.#waiting.shift();
        this.#write(task);
      }
    }
  }

  #write({ bytes, replayed, parsed }: Extract<Task, { bytes: Uint8Array }>): void {
    this.#parsing += 1;
    if (replayed) this.#replaying += 1;
    this.target.write(this.#whole(bytes), () => {
      this.#parsing -= 1;
      if (replayed) this.#replaying -= 1;
      parsed();
      this.#advance();
    });
  }

  /** `bytes` behind what was kept of those before, without what is to be kept now. */
  #whole(bytes: Uint8Array): Uint8Array {
    let all = bytes;
    if (this.#begun.length > 0) {
      all = new Uint8Array(this.#begun.length + bytes.length);
      all.set(this.#begun);
      all.set(bytes, this.#begun.length);
    }
    const end = all.length - unfinished(all);
    this.#begun = all.slice(end);
    return all.subarray(0, end);
  }
}
