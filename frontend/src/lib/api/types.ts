/**
 * What the REST API says. Written by hand until `npm run generate` has made
 * `schema.d.ts`; each of these then becomes an alias of
 * `components["schemas"][…]` of the same name.
 */

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  request_id?: string;
  retryable: boolean;
  field?: string | null;
}

export type Profile = "standard" | "strict";
export type Network = "bridge" | "none";

export interface ServerInfo {
  version: string;
  runtime: { name: string; engine: string; isolation: "container" | "none" };
  defaults: {
    image: string | null;
    profile: Profile;
    cpus: number | null;
    memory: number | null;
    pids: number | null;
    network: Network;
  };
  profiles: Profile[];
}

export type SessionState =
  | "creating"
  | "running"
  | "paused"
  | "stopping"
  | "stopped"
  | "failed"
  | "lost";

export interface Exit {
  code: number | null;
  signal: string | null;
  reason: string;
}

export interface Progress {
  step: string;
  current: number;
  total: number | null;
}

export interface Session {
  id: string;
  name: string | null;
  owner: string;
  state: SessionState;
  state_reason: string | null;
  state_message: string | null;
  progress: Progress | null;
  runtime: string;
  image: string | null;
  profile: Profile;
  network: Network;
  command: string[] | null;
  cwd: string | null;
  user: string | null;
  cpus: number | null;
  memory: number | null;
  pids: number | null;
  labels: Record<string, string>;
  idle_timeout: string | null;
  expires_at: string | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  main: { argv: string[]; exit: Exit | null } | null;
}

export interface CreateSession {
  image?: string;
  name?: string;
  command?: string[];
  env?: Record<string, string>;
  cwd?: string;
  user?: string;
  cpus?: number;
  memory?: string | number;
  pids?: number;
  network?: Network;
  profile?: Profile;
  labels?: Record<string, string>;
  ttl?: string;
  idle_timeout?: string;
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

export interface Ticket {
  ticket: string;
  expires_in: number;
}
