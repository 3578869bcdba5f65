import { deleteSession, explain, listSessions, startSession, stopSession } from "./api/client";
import type { Session } from "./api/types";
import { toasts } from "./toasts.svelte";

/** The sessions that the list shows, kept up to date by asking again. */
export class SessionList {
  /** Null until the first answer. */
  sessions = $state<Session[] | null>(null);
  more = $state(false);
  /** Why the last question had no answer. */
  failure = $state<string | null>(null);
  now = $state(Date.now());
  #busy = $state<string[]>([]);
  #pages = 1;

  /** A session is on its way to another state. */
  get changing(): boolean {
    return this.sessions?.some(({ state }) => state === "creating" || state === "stopping") ?? false;
  }

  async refresh(): Promise<void> {
    try {
      const sessions: Session[] = [];
      let cursor: string | null = null;
      for (let page = 0; page < this.#pages; page += 1) {
        const answer = await listSessions(cursor);
        sessions.push(...answer.data);
        cursor = answer.next_cursor ?? null;
        if (cursor === null) break;
      }
      this.sessions = sessions;
      this.more = cursor !== null;
      this.failure = null;
    } catch (error) {
      this.failure = explain(error);
    }
    this.now = Date.now();
  }

  async showMore(): Promise<void> {
    this.#pages += 1;
    await this.refresh();
  }

  busy(session: Session): boolean {
    return this.#busy.includes(session.id);
  }

  stop(session: Session): Promise<void> {
    return this.#act(session, async () => this.#put(await stopSession(session.id)));
  }

  start(session: Session): Promise<void> {
    return this.#act(session, async () => this.#put(await startSession(session.id)));
  }

  delete(session: Session): Promise<void> {
    return this.#act(session, async () => {
      await deleteSession(session.id);
      this.sessions = this.sessions?.filter(({ id }) => id !== session.id) ?? null;
    });
  }

  async #act(session: Session, request: () => Promise<void>): Promise<void> {
    this.#busy.push(session.id);
    try {
      await request();
    } catch (error) {
      toasts.show("sessions", explain(error));
    } finally {
      this.#busy = this.#busy.filter((id) => id !== session.id);
    }
  }

  #put(session: Session): void {
    this.sessions = this.sessions?.map((old) => (old.id === session.id ? session : old)) ?? null;
  }
}
