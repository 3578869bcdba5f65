/** How a program ended, as the API and the terminal's protocol say it. */
export interface Ended {
  code?: number | null;
  signal?: string | null;
  /** A later server may know more reasons. */
  reason: string;
}

/** One sentence about how a program ended, and never more than is known. */
export function describeExit(exit: Ended, what = "shell"): string {
  switch (exit.reason) {
    case "exited":
      return exit.code === 0 ? `The ${what} exited.` : `The ${what} exited with code ${exit.code}.`;
    case "signaled":
      return `The ${what} was ended by ${exit.signal ?? "a signal"}.`;
    case "oom":
      return `The ${what} was ended because the sandbox ran out of memory.`;
    case "timeout":
      return `The ${what} was ended because it ran longer than allowed.`;
    case "stopped":
      return `The ${what} was stopped.`;
    case "lost":
      return `The ${what} is gone; how it ended was not seen.`;
    default:
      return `The ${what} has ended (${exit.reason}).`;
  }
}
