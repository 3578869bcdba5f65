import type { CreateSession, Network, Profile, ServerInfo, Session } from "./api/types";

/** What has been typed into the form for a new session. */
export interface Draft {
  image: string;
  name: string;
  profile: Profile | "";
  network: Network | "";
  cpus: string;
  memory: string;
  idle_timeout: string;
  ttl: string;
}

/** The fields behind "Options". */
export const limitFields = ["profile", "network", "cpus", "memory", "idle_timeout", "ttl"] as const;

const COMMON_IMAGES = [
  "debian:stable-slim",
  "ubuntu:24.04",
  "alpine:3",
  "python:3-slim",
  "node:22-slim",
];

export function emptyDraft(): Draft {
  return { image: "", name: "", profile: "", network: "", cpus: "", memory: "", idle_timeout: "", ttl: "" };
}

/** Images worth offering; the server's default first. */
export function imageChoices(info: ServerInfo | null): string[] {
  const preferred = info?.defaults.image;
  return [...new Set(preferred ? [preferred, ...COMMON_IMAGES] : COMMON_IMAGES)];
}

/** Asks only for what was filled in: the rest is for the server to choose. */
export function creationBody(draft: Draft, unisolated: boolean): CreateSession {
  const body: CreateSession = {};
  if (draft.name.trim()) body.name = draft.name.trim();
  if (draft.idle_timeout.trim()) body.idle_timeout = draft.idle_timeout.trim();
  if (draft.ttl.trim()) body.ttl = draft.ttl.trim();
  if (unisolated) return body;

  if (draft.image.trim()) body.image = draft.image.trim();
  if (draft.profile) body.profile = draft.profile;
  if (draft.network) body.network = draft.network;
  if (draft.cpus.trim()) body.cpus = Number(draft.cpus.replace(",", "."));
  if (draft.memory.trim()) body.memory = draft.memory.trim();
  return body;
}

/** What to ask for to get a session like this one. Its environment is not known. */
export function repeatBody(session: Session): CreateSession {
  const wanted = {
    name: session.name,
    image: session.image,
    command: session.command,
    cwd: session.cwd,
    user: session.user,
    cpus: session.cpus,
    memory: String(session.memory),
    pids: session.pids,
    network: session.network,
    profile: session.profile,
    labels: session.labels,
    idle_timeout: session.idle_timeout,
    ttl: lifetime(session),
  };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== null && value !== undefined));
}

function lifetime({ created_at, expires_at }: Session): string | null {
  if (!expires_at) return null;
  return `${Math.round((Date.parse(expires_at) - Date.parse(created_at)) / 1000)}s`;
}
