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
}

export const server = new Server();
