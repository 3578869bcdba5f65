/**
 * Keyboards of phones compose every word, also one of a single letter, and give
 * it away at its end. A modifier of the page is for one character: it is taken
 * out of the composition as soon as it is there.
 */
export function cutComposition(field: HTMLTextAreaElement, held: () => boolean, type: (text: string) => void): void {
  field.addEventListener("compositionupdate", ({ data }) => {
    if (!held() || [...data].length !== 1) return;
    type(data);
    // Later, because the browser is about to put the character into the field.
    setTimeout(() => {
      field.value = "";
      // Without the focus there is no composition; an empty one is nothing to xterm.js.
      field.blur();
      field.value = "";
      field.focus();
    });
  });
}
