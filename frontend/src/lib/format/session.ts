import type { Session, SessionState } from "../api/types";

const STATE_LABELS: Record<SessionState, string> = {
  creating: "Creating",
  running: "Running",
  paused: "Paused",
  stopping: "Stopping",
  stopped: "Stopped",
  failed: "Failed",
  lost: "Lost",
};

export function stateLabel(state: SessionState): string {
  return STATE_LABELS[state] ?? state;
}

/** What people call a session: its name, or the end of its id that differs. */
export function sessionTitle(session: Pick<Session, "id" | "name">): string {
  return session.name ?? shortId(session.id);
}

/** The last part of an id: ids may begin with a prefix or the time. */
export function shortId(id: string): string {
  return id.length <= 12 ? id : id.slice(-8);
}

/** Reasons that say no more than the state does. */
const PLAIN_REASONS = ["requested", "ready", "starting", "stop_requested", "stopped"];

/** Why a session is in its state, as a sentence or at least as words. */
export function stateReason(session: Pick<Session, "state_message" | "state_reason">): string | null {
  const { state_message: message, state_reason: reason } = session;
  if (message) return message.charAt(0).toUpperCase() + message.slice(1);
  if (!reason || PLAIN_REASONS.includes(reason)) return null;
  return reason.replaceAll("_", " ");
}
