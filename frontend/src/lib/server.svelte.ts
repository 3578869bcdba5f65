import { getInfo } from "./api/client";
import type { ServerInfo } from "./api/types";

/** What this server is; asked once, when the first page needs it. */
class Server {
  info = $state<ServerInfo | null>(null);

  async load(): Promise<void> {
    this.info ??= await getInfo();
  }

  /** Shells are processes of the server's own machine. */
  get unisolated(): boolean {
    return this.info?.runtime.isolation === "none";
  }

  /** Memory, CPU time and processes of sessions are not limited. */
  get unlimited(): boolean {
    return this.info?.runtime.limitations.includes("no_limits") ?? false;
  }
}

export const server = new Server();
