/** A browser that pastes by itself has done so within this time. */
const OWN_PASTE_WITHIN_MS = 100;

/** A browser's paste that comes later than that is still the click's. */
const ONE_CLICK_MS = 500;

/**
 * A middle click pastes once. Some browsers paste what was selected last, in
 * whatever program that was; where one does not, the terminal's own selection is
 * taken.
 */
export class MiddleClick {
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** No paste of the browser's is wanted before this time. */
  #doneUntil = 0;

  constructor(private readonly paste: (text: string) => void) {}

  /** The person has clicked; `selected` is what this terminal would paste. */
  clicked(selected: string): void {
    clearTimeout(this.#timer);
    this.#doneUntil = 0;
    if (!selected) return;
    this.#timer = setTimeout(() => {
      this.#doneUntil = Date.now() + ONE_CLICK_MS - OWN_PASTE_WITHIN_MS;
      this.paste(selected);
    }, OWN_PASTE_WITHIN_MS);
  }

  /** The click is the program's, and pastes nothing. */
  refused(): void {
    clearTimeout(this.#timer);
    this.#doneUntil = Date.now() + ONE_CLICK_MS;
  }

  /** The browser pastes: whether that is wanted. */
  browserPastes(): boolean {
    if (Date.now() < this.#doneUntil) return false;
    clearTimeout(this.#timer);
    return true;
  }

  dispose(): void {
    clearTimeout(this.#timer);
  }
}
