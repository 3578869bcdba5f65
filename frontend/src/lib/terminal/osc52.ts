/** The most bytes that a program may offer to copy. */
export const LONGEST_OFFER = 1024 * 1024;

/**
 * The text in an OSC 52 that writes: `targets;base64`. Nothing for a question, for
 * what is not valid or too long, and for targets without the clipboard or a
 * selection, which browsers do not tell apart: cut buffers.
 */
export function offeredText(data: string): string | null {
  const match = /^([cpqs0-7]*);([A-Za-z\d+/]*={0,2})$/.exec(data);
  if (!match) return null;
  const [, targets, base64] = match;
  if (targets !== "" && !/[cps]/.test(targets!)) return null;
  if (base64!.length > (LONGEST_OFFER / 3) * 4 + 4) return null;
  try {
    const bytes = Uint8Array.from(atob(base64!), (character) => character.charCodeAt(0));
    if (bytes.length > LONGEST_OFFER) return null;
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
