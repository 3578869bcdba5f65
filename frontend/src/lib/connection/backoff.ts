const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;

/**
 * How long to wait before connecting again, after `failures` attempts in a row
 * have failed. It doubles up to a limit; the random factor between 0.5 and 1
 * keeps the clients of a restarted server from coming back all at once.
 */
export function backoffDelay(failures: number, random: () => number = Math.random): number {
  const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
  return delay * (0.5 + random() / 2);
}
