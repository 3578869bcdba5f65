import { createServer, connect, type Server as TcpServer, type Socket } from "node:net";
import { once } from "node:events";
import { elsewhere } from "./environment.ts";

/** A network between a page and the server, as slow as a test wants it to be. */
export class SlowNetwork {
  readonly #proxy: TcpServer;
  readonly #sockets = new Set<Socket>();
  /** Each way, in milliseconds. */
  delay = 0;
  /** Where the page is reached through it, with a slash at its end. */
  origin = "";

  private constructor(host: string, port: number) {
    this.#proxy = createServer((page) => {
      const server = connect(port, host);
      this.#carry(page, server);
      this.#carry(server, page);
    });
  }

  /** `origin`: where the server is. */
  static async before(origin: string): Promise<SlowNetwork> {
    const { hostname, port } = new URL(origin);
    const network = new SlowNetwork(hostname, Number(port));
    network.#proxy.listen(0, elsewhere);
    await once(network.#proxy, "listening");
    const address = network.#proxy.address();
    if (address === null || typeof address === "string") throw new Error("the network has no port");
    network.origin = `http://${elsewhere}:${address.port}/`;
    return network;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#proxy.close();
    await once(this.#proxy, "close");
  }

  /** Gives everything on in its order; timers of the same length are, and a shorter delay waits for the longer. */
  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    let last = Promise.resolve();
    const later = (run: () => void) => {
      const passed = new Promise((resolve) => setTimeout(resolve, this.delay));
      last = last.then(() => passed).then(run);
    };
    from.setNoDelay(true);
    from.on("data", (data) => later(() => to.write(data)));
    from.on("end", () => later(() => to.end()));
    from.on("error", () => to.destroy());
    from.on("close", () => this.#sockets.delete(from));
  }
}
