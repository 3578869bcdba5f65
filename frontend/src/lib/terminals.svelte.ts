import { ApiError, closeTerminal, explain, listTerminals, openTerminal } from "./api/client";
import type { Terminal } from "./api/types";
import { MAIN } from "./layout/layout";
import { freeName } from "./layout/names";
import { toasts } from "./toasts.svelte";

/** The terminals that a session has, whether the page shows them or not. */
export class SessionTerminals {
  /** As they were when the server was asked last. */
  #list = $state.raw<Terminal[]>([]);
  /** `main` is always there, even before its first viewer. */
  readonly names = $derived(new Set([MAIN, ...this.#list.map(({ name }) => name)]));

  constructor(private readonly session: string) {}

  /** Asks the server; whether there was an answer. */
  async learn(): Promise<boolean> {
    try {
      ({ data: this.#list } = await listTerminals(this.session));
      return true;
    } catch {
      return false;
    }
  }

  /** The title that a terminal's program had set, or nothing. */
  titleOf(terminal: string): string {
    return this.#list.find(({ name }) => name === terminal)?.title ?? "";
  }

  /** A name for a terminal to open, that neither these have nor those. */
  freeName(others: string[]): string {
    return freeName([...this.names, ...others]);
  }

  /**
   * Opens a terminal with a shell, of this size in cells. `taken` tells that
   * somebody else has just opened one of this name; other failures are shown.
   */
  async open(name: string, size: { cols: number; rows: number }): Promise<"open" | "taken" | "failed"> {
    try {
      await openTerminal(this.session, { name, ...size });
    } catch (error) {
      const taken = error instanceof ApiError && error.problem?.code === "terminal_exists";
      if (taken && (await this.learn())) return "taken";
      toasts.show("terminal", explain(error));
      return "failed";
    }
    void this.learn();
    return "open";
  }

  /** Ends a terminal with everything in it. */
  async end(terminal: string): Promise<void> {
    this.#list = this.#list.filter(({ name }) => name !== terminal);
    try {
      await closeTerminal(this.session, terminal);
    } catch (error) {
      const gone = error instanceof ApiError && error.status === 404;
      if (!gone) toasts.show("terminal", explain(error));
    }
    await this.learn();
  }
}
