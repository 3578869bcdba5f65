import {
  ApiError,
  createSession,
  deleteSession,
  explain,
  getSession,
  startSession,
  stopSession,
} from "./api/client";
import type { Session } from "./api/types";
import { repeatBody } from "./draft";
import { randomId } from "./random";
import { toasts } from "./toasts.svelte";

/** One session as the terminal's page sees it. */
export class SessionWatch {
  session = $state<Session | null>(null);
  /** There is no such session, or not for this caller. */
  missing = $state(false);
  /** Why the last question had no answer. */
  failure = $state<string | null>(null);
  busy = $state(false);

  constructor(private readonly id: string) {}

  get running(): boolean {
    return this.session?.state === "running" || this.session?.state === "paused";
  }

  async refresh(): Promise<void> {
    try {
      this.session = await getSession(this.id);
      this.failure = null;
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 403)) this.missing = true;
      else this.failure = explain(error);
    }
  }

  stop(): Promise<boolean> {
    return this.#act(async () => (this.session = await stopSession(this.id)));
  }

  start(): Promise<boolean> {
    return this.#act(async () => (this.session = await startSession(this.id)));
  }

  delete(): Promise<boolean> {
    return this.#act(() => deleteSession(this.id));
  }

  /** Creates another session like this one; gives its id, or null on failure. */
  async createAgain(): Promise<string | null> {
    let id: string | null = null;
    await this.#act(async () => {
      if (this.session) ({ id } = await createSession(repeatBody(this.session), randomId()));
    });
    return id;
  }

  async #act(request: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    try {
      await request();
      return true;
    } catch (error) {
      toasts.show("session", explain(error));
      return false;
    } finally {
      this.busy = false;
    }
  }
}
