/** Close codes of ours (docs/protocol.md, "Close codes"). */
export const CLOSE = {
  exited: 4000,
  sessionEnded: 4001,
  protocol: 4002,
  startFailed: 4003,
} as const;

/** Codes of 4000 to 4099 mean that there is nothing to come back to. */
export function isFinal(code: number): boolean {
  return code >= 4000 && code <= 4099;
}
