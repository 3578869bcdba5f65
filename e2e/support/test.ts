import { test as base, type Page } from "@playwright/test";
import { Complaints } from "./complaints.ts";
import { engine, images } from "./environment.ts";
import { Server } from "./server.ts";
import { Terminal } from "./terminal.ts";

export { expect } from "@playwright/test";

interface Options {
  /** What this browser remembers besides how it draws: the token, when it is signed in. */
  signedIn: boolean;
  /** What the terminal's session is made from. */
  image: string;
}

interface TestFixtures extends Options {
  engineNeeded: void;
  complaints: Complaints;
  cleanUp: void;
  /** Opens another page on a path of the server. */
  open: (path: string) => Promise<Page>;
  /** A terminal with a prompt, in a session of its own. */
  terminal: Terminal;
}

interface WorkerFixtures {
  server: Server;
}

/** Playwright's `test` with a real server behind the page. */
export const test = base.extend<TestFixtures, WorkerFixtures>({
  signedIn: [true, { option: true }],
  image: [images.sh, { option: true }],

  server: [
    async ({}, use) => {
      if (!engine) return use(null as never);
      const server = await Server.start(["--engine", engine, "--default-image", images.sh]);
      await use(server);
      await server.remove();
    },
    { scope: "worker", timeout: 60_000 },
  ],

  engineNeeded: [
    async ({}, use, info) => {
      info.skip(!engine, "there is no engine");
      await use();
    },
    { auto: true },
  ],

  // The DOM renderer of xterm.js is the one whose screen can be read as text.
  storageState: async ({ server, signedIn }, use) => {
    const localStorage = [{ name: "shellport.renderer", value: "dom" }];
    if (server && signedIn) localStorage.push({ name: "shellport.token", value: server.token });
    const origins = server ? [{ origin: server.origin.replace(/\/$/, ""), localStorage }] : [];
    await use({ cookies: [], origins });
  },

  complaints: [
    async ({ context }, use) => {
      const complaints = new Complaints(context);
      await use(complaints);
      complaints.check();
    },
    { auto: true },
  ],

  cleanUp: [
    async ({ context, server }, use) => {
      await use();
      for (const page of context.pages()) await page.close();
      await server?.deleteSessions();
    },
    { auto: true },
  ],

  open: async ({ context, server }, use) => {
    await use(async (path) => {
      const page = await context.newPage();
      await page.goto(server.origin + path);
      return page;
    });
  },

  terminal: async ({ open, server, image }, use) => {
    const { id } = await server.createSession(image);
    const terminal = new Terminal(await open(`sessions/${id}`));
    await terminal.ready();
    await use(terminal);
  },
});
