/** What a key does to a line that is being typed. */
export type Edit = { kind: "insert"; character: string } | { kind: "erase" } | { kind: "left" } | { kind: "right" };

/** Text that was typed since the line was begun, and where in it the cursor is. */
export interface TypedLine {
  readonly characters: readonly string[];
  readonly at: number;
}

export const EMPTY_LINE: TypedLine = { characters: [], at: 0 };

/** More at once is a paste, whose echo is not worth a guess. */
const MOST_AT_ONCE = 16;

// One cell wide in every terminal: ASCII, Latin, Greek and Cyrillic, without what combines or is not seen.
const ONE_CELL = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u024f\u0370-\u0482\u048a-\u052f]$/;

const KEYS: Record<string, Edit> = {
  "\x7f": { kind: "erase" },
  "\x1b[D": { kind: "left" },
  "\x1bOD": { kind: "left" },
  "\x1b[C": { kind: "right" },
  "\x1bOC": { kind: "right" },
};

/** What this input does to a line; null for everything that cannot be foreseen. */
export function editsOf(input: string): Edit[] | null {
  const key = KEYS[input];
  if (key) return [key];
  const characters = [...input];
  if (characters.length === 0 || characters.length > MOST_AT_ONCE) return null;
  if (!characters.every((character) => ONE_CELL.test(character))) return null;
  return characters.map((character) => ({ kind: "insert", character }));
}

/** The line after an edit; null where the edit would reach beyond what was typed. */
export function edited({ characters, at }: TypedLine, edit: Edit): TypedLine | null {
  switch (edit.kind) {
    case "insert":
      return { characters: [...characters.slice(0, at), edit.character, ...characters.slice(at)], at: at + 1 };
    case "erase":
      return at === 0 ? null : { characters: [...characters.slice(0, at - 1), ...characters.slice(at)], at: at - 1 };
    case "left":
      return at === 0 ? null : { characters, at: at - 1 };
    case "right":
      return at === characters.length ? null : { characters, at: at + 1 };
  }
}
