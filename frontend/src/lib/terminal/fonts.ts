/** Families that a computer is likely to have, in the order of a list to choose from. */
export const FONT_FAMILIES = [
  "Cascadia Mono",
  "Consolas",
  "Courier New",
  "DejaVu Sans Mono",
  "Fira Code",
  "Hack",
  "IBM Plex Mono",
  "JetBrains Mono",
  "Liberation Mono",
  "Menlo",
  "Monaco",
  "Roboto Mono",
  "SF Mono",
  "Source Code Pro",
  "Ubuntu Mono",
];

const USUAL =
  'ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", "Roboto Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';

const LONGEST = 60;

/** Whether this can be the name of a family: nothing that would end a string of CSS. */
export function isFontFamily(name: string): boolean {
  return name.length <= LONGEST && /^[\p{L}\p{N}][\p{L}\p{N} ._+-]*$/u.test(name);
}

/** The chosen family, and behind it those that are used where it is missing. */
export function fontStack(chosen: string): string {
  return chosen === "" ? USUAL : `"${chosen}", ${USUAL}`;
}
