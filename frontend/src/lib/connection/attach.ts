import { ApiError, createTicket } from "../api/client";
import { RefusedError, type Socket } from "./connection";

/**
 * Opens a viewer's socket. The ticket travels as a subprotocol, because a
 * browser can send no header with an upgrade and an address is no place for a
 * secret.
 */
export async function openSocket(
  session: string,
  terminal: string,
  query: Record<string, string>,
): Promise<Socket> {
  let ticket: string;
  try {
    ({ ticket } = await createTicket(session, terminal));
  } catch (error) {
    if (error instanceof ApiError && !error.retryable) throw new RefusedError(error);
    throw error;
  }
  const address = new URL(
    `/api/v1/sessions/${encodeURIComponent(session)}/terminals/${encodeURIComponent(terminal)}/attach`,
    location.href,
  );
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.search = new URLSearchParams(query).toString();
  return new WebSocket(address, ["shellport.v1", `shellport.ticket.${ticket}`]) as Socket;
}
