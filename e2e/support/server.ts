import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary, elsewhere } from "./environment.ts";

const READY = /Open (http:\/\/([\d.]+:\d+)\/)#token=(\S+)/;
const READY_WITHIN_MS = 20_000;
const ENDS_WITHIN_MS = 10_000;

/** The parts of a session that the tests look at. */
export interface Session {
  id: string;
  state: string;
  state_message: string | null;
}

/** A real server with a data directory of its own. */
export class Server {
  #child: ChildProcess | null = null;
  #log = "";
  #listen = "127.0.0.1:0";
  /** Where the page is, with a slash at its end. */
  origin = "";
  token = "";

  private constructor(
    private readonly flags: string[],
    private readonly directory: string,
  ) {}

  /** Starts one; the flags say what makes its sandboxes. */
  static async start(flags: string[]): Promise<Server> {
    const server = new Server(flags, await mkdtemp(join(tmpdir(), "shellport-e2e-")));
    await server.launch();
    return server;
  }

  /** Starts the program; after `kill`, at the same address and with the same data. */
  async launch(): Promise<void> {
    const child = spawn(
      binary(),
      [
        ...["serve", "--listen", this.#listen, "--allowed-hosts", elsewhere, "--data-dir", this.directory],
        ...this.flags,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#child = child;
    child.stderr!.on("data", (data) => (this.#log += data));
    let said = "";
    const ready = new Promise<RegExpExecArray>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`the server ${why}:\n${said}${this.#log}`));
      const timer = setTimeout(() => fail("is not ready"), READY_WITHIN_MS);
      child.once("exit", (code) => (clearTimeout(timer), fail(`has ended with ${code}`)));
      child.stdout!.on("data", (data) => {
        said += data;
        const match = READY.exec(said);
        if (match) resolve((clearTimeout(timer), match));
      });
    });
    const [, origin, address, token] = await ready;
    this.origin = origin!;
    this.#listen = address!;
    this.token = token!;
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** What the page itself asks the server for, without the page. */
  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.origin}api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  /** Writes a file of a session. */
  async put(path: string, text: string): Promise<void> {
    const headers = { Authorization: `Bearer ${this.token}` };
    const response = await fetch(`${this.origin}api/v1${path}`, { method: "PUT", headers, body: text });
    if (!response.ok) throw new Error(`PUT ${path}: ${response.status} ${await response.text()}`);
  }

  createSession(image: string): Promise<Session> {
    return this.api("POST", "/sessions?wait=running", { image });
  }

  async sessions(): Promise<Session[]> {
    const { data } = await this.api<{ data: Session[] }>("GET", "/sessions?limit=100");
    return data;
  }

  async deleteSessions(): Promise<void> {
    for (const { id } of await this.sessions()) await this.api("DELETE", `/sessions/${id}`);
    for (let tries = 0; (await this.sessions()).length > 0; tries += 1) {
      if (tries === 100) throw new Error("a deleted session stays in the list");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Leaves nothing behind: no sandbox, no process, no directory. */
  async remove(): Promise<void> {
    try {
      if (!this.#child) await this.launch();
      await this.deleteSessions();
    } finally {
      await this.#end("SIGTERM");
      await rm(this.directory, { recursive: true, force: true });
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), ENDS_WITHIN_MS);
    await ended;
    clearTimeout(timer);
  }
}
