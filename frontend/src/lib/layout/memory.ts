import { isUsual, type Layout } from "./layout";
import { restore, serialise } from "./stored";

const PREFIX = "shellport.layout.";

/** Of the layouts of more sessions, the ones that were changed longest ago are forgotten. */
export const MOST_SESSIONS = 50;

/**
 * The layouts of sessions, kept in this browser: an entry a session, so that
 * pages which are open at the same time do not overwrite each other's. An entry
 * is the time of its last change in milliseconds, a space, and the layout.
 */
export class LayoutMemory {
  constructor(private readonly storage: Storage) {}

  load(session: string): Layout | null {
    const entry = this.storage.getItem(PREFIX + session);
    return entry === null ? null : restore(entry.slice(entry.indexOf(" ") + 1));
  }

  /** What everybody starts with needs no entry. */
  save(session: string, layout: Layout): void {
    if (isUsual(layout)) {
      this.forget(session);
      return;
    }
    const isNew = this.storage.getItem(PREFIX + session) === null;
    try {
      this.storage.setItem(PREFIX + session, `${Date.now()} ${serialise(layout)}`);
    } catch {
      // The browser has no room, or keeps nothing: then it is not remembered.
    }
    if (isNew) this.#forgetOldest();
  }

  forget(session: string): void {
    this.storage.removeItem(PREFIX + session);
  }

  #forgetOldest(): void {
    const keys = Array.from({ length: this.storage.length }, (_, index) => this.storage.key(index)!);
    const changed = (key: string) => Number.parseInt(this.storage.getItem(key) ?? "", 10) || 0;
    const oldestLast = keys
      .filter((key) => key.startsWith(PREFIX))
      .map((key) => ({ key, at: changed(key) }))
      .sort((one, other) => other.at - one.at);
    for (const { key } of oldestLast.slice(MOST_SESSIONS)) this.storage.removeItem(key);
  }
}
