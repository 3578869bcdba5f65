/** What a program is given for a paste: lines end as they do when they are typed. */
export function preparePaste(text: string, bracketed: boolean): string {
  const typed = text.replace(/\r?\n/g, "\r");
  // With an escape sequence, the text could end the brackets and go on as if typed.
  return bracketed ? `\x1b[200~${typed.replaceAll("\x1b", "␛")}\x1b[201~` : typed;
}

/** Whether text has several lines, or one with its end: a shell would run it at once. */
export function hasLineEnd(text: string): boolean {
  return /[\r\n]/.test(text);
}

/** The beginning of a text that is to be shown, and how many lines of it are left out. */
export function excerpt(text: string, lines: number, columns: number): { shown: string; more: number } {
  // A paste may have millions of lines: only those that are shown are taken apart.
  const all = text.replace(/\r\n?/g, "\n").replace(/\n$/, "");
  const shown: string[] = [];
  let at = 0;
  while (shown.length < lines && at <= all.length) {
    const end = all.indexOf("\n", at);
    const line = all.slice(at, end < 0 ? all.length : end);
    shown.push(visible(line.length > columns ? `${line.slice(0, columns)}…` : line));
    at = end < 0 ? all.length + 1 : end + 1;
  }
  let more = at <= all.length ? 1 : 0;
  for (let next = all.indexOf("\n", at); next >= 0; next = all.indexOf("\n", next + 1)) more += 1;
  return { shown: shown.join("\n"), more };
}

/** Control characters as their pictures, so that nothing in a text is hidden from whoever reads it. */
function visible(line: string): string {
  return line.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (control) =>
    control === "\x7f" ? "␡" : String.fromCharCode(0x2400 + control.charCodeAt(0)),
  );
}
