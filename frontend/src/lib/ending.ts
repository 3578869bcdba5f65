import type { Session } from "./api/types";
import { explain } from "./api/client";
import { CLOSE } from "./connection/close";
import type { End } from "./connection/connection";
import { describeExit } from "./format/exit";
import { stateReason } from "./format/session";

/** What a person may do when a terminal has come to an end. */
export type Offer = "new-shell" | "start" | "create-again" | "connect" | "back";

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

/** Says why the connection to a running session has ended. */
export function describeEnd(end: End, session: Session): Ending {
  if (end.kind === "exit") {
    const title = describeExit(end.exit, programOf(session));
    return { title, detail: null, offers: ["new-shell", "back"] };
  }
  if (end.kind === "refused") {
    return {
      title: "The terminal cannot be opened",
      detail: explain(end.error),
      offers: ["connect", "back"],
    };
  }
  const detail = end.reason || null;
  switch (end.code) {
    case CLOSE.exited:
      return { title: `The ${programOf(session)} has ended.`, detail, offers: ["new-shell", "back"] };
    case CLOSE.sessionEnded:
      return { title: "The session has ended", detail, offers: ["connect", "back"] };
    case CLOSE.startFailed:
      return { title: "The terminal could not be started", detail, offers: ["new-shell", "back"] };
    default:
      return { title: "The connection was ended", detail, offers: ["connect", "back"] };
  }
}

function programOf(session: Session): string {
  return session.command ? "program" : "shell";
}
