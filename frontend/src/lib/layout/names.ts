/** The first of `shell-2`, `shell-3` and so on that is not taken: `main` is the first. */
export function freeName(taken: Iterable<string>): string {
  const names = new Set(taken);
  let number = 2;
  while (names.has(`shell-${number}`)) number += 1;
  return `shell-${number}`;
}
