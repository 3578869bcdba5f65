/** Whether the person wants to paste several lines, asked in a dialog of the page. */

interface Pending {
  text: string;
  answer: (paste: boolean) => void;
}

class PasteQuestion {
  #pending = $state.raw<Pending | null>(null);

  get pending(): Pending | null {
    return this.#pending;
  }

  /** Asks; an earlier question that has no answer is answered with no. */
  ask(text: string): Promise<boolean> {
    this.#pending?.answer(false);
    return new Promise((resolve) => {
      this.#pending = {
        text,
        answer: (paste) => {
          this.#pending = null;
          resolve(paste);
        },
      };
    });
  }
}

export const pasteQuestion = new PasteQuestion();
