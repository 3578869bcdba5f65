import { fileURLToPath } from "node:url";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { images } from "../support/environment.ts";
import { Server } from "../support/server.ts";
import { expect, test } from "../support/test.ts";

/** Waits until something listens on a port of a session. */
async function listens(server: Server, session: string, port: number): Promise<void> {
  await expect
    .poll(async () => {
      const { data } = await server.api<{ data: { port: number }[] }>("GET", `/sessions/${session}/ports`);
      return data.some((it) => it.port === port);
    })
    .toBe(true);
}

/** Where a browser enters a port. */
async function entrance(server: Server, session: string, port: number): Promise<string> {
  const { url } = await server.api<{ url: string }>("POST", `/sessions/${session}/ports/${port}/tickets`);
  return url;
}

/** What a page tries that wants more than its own port: each ends as "refused" or with what it has got. */
const CURIOUS = `<!doctype html><title>curious</title><h1>A page</h1><script>
const [api, other] = JSON.parse(decodeURIComponent(location.search.slice(1)) || "[]");
const read = async (url, options) => {
  try { return await (await fetch(url, options)).text() || "nothing"; } catch { return "refused"; }
};
const frame = (url) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.onload = () => { try { resolve(frame.contentDocument ? frame.contentDocument.body.innerHTML : "refused"); } catch { resolve("refused"); } };
  frame.src = url;
  document.body.append(frame);
});
const socket = (url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => resolve("open");
  socket.onerror = () => resolve("refused");
});
api && (async () => {
  window.tried = {
    api: await read(api + "api/v1/sessions"),
    credentials: await read(api + "api/v1/sessions", { credentials: "include" }),
    write: await read(api + "api/v1/sessions", { method: "POST", body: "{}", credentials: "include" }),
    page: await frame(api),
    cookies: document.cookie,
    port: await read(other, { credentials: "include" }),
    portPage: await frame(other),
    socket: await socket(other.replace("http", "ws")),
    apiSocket: await socket(api.replace("http", "ws") + "api/v1/sessions/x/terminals/main/attach"),
  };
})();
</script>`;

test("a page from a sandbox reaches nothing but its own port", async ({ context, server, complaints }) => {
  complaints.expect(/CORS|Failed to load resource|Refused to|WebSocket connection to|frame|Framing|net::ERR/);
  const { id } = await server.createSession(images.sh);
  for (const [port, text] of [
    [8080, CURIOUS],
    [8081, "a secret"],
  ] as const) {
    const site = `/tmp/site-${port}`;
    await server.put(`/sessions/${id}/files${site}/index.html?parents=true`, text);
    const wish = { shell: `exec httpd -f -p ${port} -h ${site}`, background: true };
    await server.api("PUT", `/sessions/${id}/execs/web-${port}`, wish);
    await listens(server, id, port);
  }
  const page = await context.newPage();
  await page.goto(await entrance(server, id, 8081));
  await expect(page.locator("body")).toHaveText("a secret");
  const other = page.url();
  await page.goto(await entrance(server, id, 8080));
  await expect(page.getByRole("heading")).toHaveText("A page");
  const own = new URL(page.url());
  expect(own.host).toMatch(new RegExp(`^8080-${id}\\.localhost:`));
  // No ticket stays behind.
  expect(own.hash + own.search).toBe("");
  const api = server.origin.replace("127.0.0.1", "localhost");
  await page.goto(`${own.origin}/?${encodeURIComponent(JSON.stringify([api, other]))}`);
  await expect.poll(() => page.evaluate(() => (window as never as { tried?: object }).tried), { timeout: 30_000 }).toEqual({
    api: "refused",
    credentials: "refused",
    write: "refused",
    page: "refused",
    cookies: "",
    port: "refused",
    portPage: "refused",
    socket: "refused",
    apiSocket: "refused",
  });
  expect(await server.sessions()).toHaveLength(1);
  // Somebody without a pass is told how to get one.
  const stranger = await context.browser()!.newContext();
  const refused = await stranger.newPage();
  await refused.goto(own.origin);
  await expect(refused.getByRole("heading")).toHaveText("Unauthorized");
  await stranger.close();
});

test("a development server reloads the page through its port", async ({ context, complaints }) => {
  const vite = fileURLToPath(new URL("../../frontend/node_modules/vite/bin/vite.js", import.meta.url));
  const project = await mkdtemp(join(tmpdir(), "shellport-e2e-project-"));
  // Without isolation: the tools are this machine's own.
  const server = await Server.start(["--runtime", "process"]);
  try {
    complaints.expect(/favicon/);
    const write = (name: string, text: string) => writeFile(join(project, name), text);
    await write("index.html", '<!doctype html><h1>Hot</h1><script type="module" src="/main.js"></script>');
    await write("main.js", 'import "./style.css";\n');
    await write("style.css", "h1 { color: rgb(1, 2, 3); }\n");
    const { id } = await server.api<{ id: string }>("POST", "/sessions?wait=running", {});
    const argv = ["node", vite, "--host", "127.0.0.1", "--port", "5199", "--strictPort"];
    await server.api("PUT", `/sessions/${id}/execs/vite`, { argv, cwd: project, background: true });
    await listens(server, id, 5199);
    const page = await context.newPage();
    await page.goto(await entrance(server, id, 5199));
    const heading = page.getByRole("heading");
    await expect(heading).toHaveCSS("color", "rgb(1, 2, 3)");
    await page.evaluate(() => document.body.append("the same page"));
    await write("style.css", "h1 { color: rgb(4, 5, 6); }\n");
    await expect(heading).toHaveCSS("color", "rgb(4, 5, 6)");
    await expect(page.locator("body")).toContainText("the same page");
    // What cannot be replaced while it runs is loaded anew.
    await write("index.html", '<!doctype html><h1>Anew</h1><script type="module" src="/main.js"></script>');
    await expect(heading).toHaveText("Anew");
  } finally {
    await server.remove();
    await rm(project, { recursive: true, force: true });
  }
});
