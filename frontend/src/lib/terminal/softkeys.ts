/** Keys that the on-screen keyboards of phones lack. */
export type SoftKey =
  | "Escape"
  | "Tab"
  | "ArrowUp"
  | "ArrowDown"
  | "ArrowLeft"
  | "ArrowRight"
  | "Home"
  | "End"
  | "PageUp"
  | "PageDown"
  | "Insert"
  | "Delete";

/** Keys that were pressed on the page, for the next one. */
export interface Modifiers {
  control: boolean;
  alt: boolean;
}

export const NO_MODIFIERS: Modifiers = { control: false, alt: false };

/** Ends of `CSI 1 ; modifiers`. */
const LETTERS: Partial<Record<SoftKey, string>> = {
  ArrowUp: "A",
  ArrowDown: "B",
  ArrowRight: "C",
  ArrowLeft: "D",
  End: "F",
  Home: "H",
};

/** Numbers of `CSI number ; modifiers ~`. */
const NUMBERS: Partial<Record<SoftKey, number>> = { Insert: 2, Delete: 3, PageUp: 5, PageDown: 6 };

/** What a key sends; programs such as editors ask for another form of the arrows. */
export function softKeySequence(key: SoftKey, applicationCursor: boolean, { control, alt } = NO_MODIFIERS): string {
  if (key === "Escape" || key === "Tab") return `${alt ? "\x1b" : ""}${key === "Tab" ? "\t" : "\x1b"}`;
  const modifiers = 1 + (alt ? 2 : 0) + (control ? 4 : 0);
  const letter = LETTERS[key];
  if (letter === undefined) return `\x1b[${NUMBERS[key]}${modifiers > 1 ? `;${modifiers}` : ""}~`;
  if (modifiers > 1) return `\x1b[1;${modifiers}${letter}`;
  return `\x1b${applicationCursor ? "O" : "["}${letter}`;
}

/** What is sent for typed text while modifiers of the page are held. */
export function withModifiers(data: string, { control, alt }: Modifiers): string {
  const text = control ? withControl(data) : data;
  return alt && [...data].length === 1 ? `\x1b${text}` : text;
}

/** What the first character sends while Ctrl is held. */
export function withControl(data: string): string {
  if (data.length !== 1) return data;
  // What terminals send for these, which have no control character of their own.
  if (data === " ") return "\x00";
  if (data === "/" || data === "-") return "\x1f";
  if (data === "?") return "\x7f";
  const code = data.toUpperCase().charCodeAt(0);
  // @ to _ in ASCII, which holds the letters, have control characters.
  if (code < 0x40 || code > 0x5f) return data;
  return String.fromCharCode(code & 0x1f);
}
