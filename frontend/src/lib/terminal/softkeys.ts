/** Keys that the on-screen keyboards of phones lack. */
export type SoftKey = "Escape" | "Tab" | "ArrowUp" | "ArrowDown" | "ArrowLeft" | "ArrowRight";

const ARROWS: Partial<Record<SoftKey, string>> = {
  ArrowUp: "A",
  ArrowDown: "B",
  ArrowRight: "C",
  ArrowLeft: "D",
};

/** What a key sends; programs such as editors ask for another form of the arrows. */
export function softKeySequence(key: SoftKey, applicationCursor: boolean): string {
  if (key === "Escape") return "\x1b";
  if (key === "Tab") return "\t";
  return `\x1b${applicationCursor ? "O" : "["}${ARROWS[key]}`;
}

/** What the first character sends while Ctrl is held. */
export function withControl(data: string): string {
  const code = data.toUpperCase().charCodeAt(0);
  // @ to _ in ASCII, which holds the letters, have control characters.
  if (data.length !== 1 || code < 0x40 || code > 0x5f) return data;
  return String.fromCharCode(code & 0x1f);
}
