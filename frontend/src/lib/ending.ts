import type { Session } from "./api/types";
import { explain } from "./api/client";
import { CLOSE } from "./connection/close";
import type { End } from "./connection/connection";
import { describeExit } from "./format/exit";
import { stateReason } from "./format/session";

/** What a person may do when a terminal has come to an end. */
export type Offer = "new-shell" | "start" | "create-again" | "connect" | Leave;

export type Leave = "back" | "close";

export interface Ending {
  title: string;
  detail: string | null;
  /** The first is what Enter does. */
  offers: Offer[];
}

/** Says why there is no live terminal for this session, or null when there may be one. */
export function describeSession(session: Session): Ending | null {
  const detail = stateReason(session);
  switch (session.state) {
    case "failed":
      return { title: "The session could not be created", detail, offers: ["create-again", "back"] };
    case "stopped": {
      const exit = session.main?.exit;
      const last = exit ? describeExit(exit, programOf(session)) : null;
      return { title: "The session is stopped", detail: detail ?? last, offers: ["start", "back"] };
    }
    case "lost":
      return { title: "The session was lost", detail, offers: ["create-again", "back"] };
    default:
      return null;
  }
}

/**
 * Says why the connection to a terminal of a running session has ended. `leave`
 * is the way out: one terminal among others is closed, the only one is left
 * with the page.
 */
export function describeEnd(end: End, session: Session, leave: Leave = "back"): Ending {
  if (end.kind === "exit") {
    const title = describeExit(end.exit, programOf(session));
    return { title, detail: null, offers: ["new-shell", leave] };
  }
  if (end.kind === "refused") {
    return {
      title: "The terminal cannot be opened",
      detail: explain(end.error),
      offers: ["connect", leave],
    };
  }
  const detail = end.reason || null;
  switch (end.code) {
    case CLOSE.exited:
      return { title: `The ${programOf(session)} has ended.`, detail, offers: ["new-shell", leave] };
    case CLOSE.sessionEnded:
      return { title: "The session has ended", detail, offers: ["connect", leave] };
    case CLOSE.startFailed:
      return { title: "The terminal could not be started", detail, offers: ["new-shell", leave] };
    default:
      return { title: "The connection was ended", detail, offers: ["connect", leave] };
  }
}

function programOf(session: Session): string {
  return session.command ? "program" : "shell";
}
