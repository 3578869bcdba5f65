/** Close codes of ours (docs/protocol.md, "Close codes"). */
export const CLOSE = {
  exited: 4000,
  sessionEnded: 4001,
  terminalClosed: 4002,
  protocol: 4003,
  startFailed: 4004,
} as const;

/** Codes of 4000 to 4099 mean that there is nothing to come back to. */
export function isFinal(code: number): boolean {
  return code >= 4000 && code <= 4099;
}
