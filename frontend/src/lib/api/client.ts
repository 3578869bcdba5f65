/** The REST API, one function a request. */
import { auth } from "../auth.svelte";
import type {
  CreateSession,
  CreateTicket,
  OpenTerminal,
  Problem,
  ServerInfo,
  Session,
  SessionList,
  Terminal,
  TerminalList,
  Ticket,
} from "./types";

/** A request that was answered with a problem, or not answered at all. */
export class ApiError extends Error {
  /** Null when there was no answer. */
  readonly problem: Problem | null;

  constructor(problem: Problem | null) {
    super(problem?.detail || problem?.title || "The server cannot be reached.");
    this.name = "ApiError";
    this.problem = problem;
  }

  get status(): number {
    return this.problem?.status ?? 0;
  }

  /** Whether the same request may succeed later. */
  get retryable(): boolean {
    return this.problem === null || this.problem.retryable || this.status >= 500;
  }
}

/** A sentence about anything that was thrown. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function getInfo(): Promise<ServerInfo> {
  return request("GET", "/info");
}

export function listSessions(cursor: string | null): Promise<SessionList> {
  const query = new URLSearchParams({ limit: "50" });
  if (cursor) query.set("cursor", cursor);
  return request("GET", `/sessions?${query}`);
}

/** `key` makes it safe to send the same creation again after a lost answer. */
export function createSession(body: CreateSession, key: string): Promise<Session> {
  return request("POST", "/sessions", body, { "Idempotency-Key": key });
}

export function getSession(id: string): Promise<Session> {
  return request("GET", sessionPath(id));
}

export function deleteSession(id: string): Promise<void> {
  return request("DELETE", sessionPath(id));
}

export function stopSession(id: string): Promise<Session> {
  return request("POST", `${sessionPath(id)}/stop`);
}

export function startSession(id: string): Promise<Session> {
  return request("POST", `${sessionPath(id)}/start`);
}

/** The terminals that a running session has now; `main` only after its first viewer. */
export function listTerminals(id: string): Promise<TerminalList> {
  return request("GET", `${sessionPath(id)}/terminals`);
}

export function openTerminal(id: string, body: OpenTerminal): Promise<Terminal> {
  return request("POST", `${sessionPath(id)}/terminals`, body);
}

/** Ends everything in a terminal, which may take some seconds. */
export function closeTerminal(id: string, terminal: string): Promise<void> {
  return request("DELETE", terminalPath(id, terminal));
}

export function createTicket(id: string, terminal: string): Promise<Ticket> {
  return request("POST", `${terminalPath(id, terminal)}/tickets`, { role: "writer" } satisfies CreateTicket);
}

function sessionPath(id: string): string {
  return `/sessions/${encodeURIComponent(id)}`;
}

function terminalPath(id: string, terminal: string): string {
  return `${sessionPath(id)}/terminals/${encodeURIComponent(terminal)}`;
}

async function request<T>(
  method: string,
  path: string,
  body?: unknown,
  extra: Record<string, string> = {},
): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", ...extra };
  if (auth.token) headers.Authorization = `Bearer ${auth.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";

  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(null);
  }
  if (response.status === 401) auth.demand();
  if (!response.ok) throw new ApiError(await problemOf(response));
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Every error of ours is a problem; a proxy in between may answer otherwise. */
async function problemOf(response: Response): Promise<Problem> {
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    try {
      return (await response.json()) as Problem;
    } catch {
      // Cut off in the middle: treated as the answer of a proxy.
    }
  }
  return {
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail: `The server answered with status ${response.status}.`,
    code: "unknown",
    request_id: "",
    retryable: response.status >= 500,
  };
}
