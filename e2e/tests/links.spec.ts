import type { Terminal } from "../support/terminal.ts";
import { expect, test } from "../support/test.ts";

/** Prints a plain address and a link behind other words; returns where both are. */
async function printLinks(terminal: Terminal, plain: string, behind: string) {
  await terminal.enter(
    `clear; p=${plain}; b=${behind}; printf '%s\\n\\033]8;;%s\\033\\\\%s\\033]8;;\\033\\\\\\n' "$p" "$b" 'some words'`,
  );
  await terminal.shows("some words");
  const middle = async (text: string) => {
    const box = await terminal.lines.filter({ hasText: text }).first().boundingBox();
    return { x: box!.x + 40, y: box!.y + box!.height / 2 };
  };
  return { plain: await middle(plain), behind: await middle("some words") };
}

test("a link says where it leads, and opens only with Ctrl", async ({ terminal, server, context }) => {
  const { page } = terminal;
  const address = `${server.origin}icon.svg`;
  const other = `${server.origin}icon.svg?other`;
  const links = await printLinks(terminal, address, other);
  const hint = page.locator(".link-hint");
  for (const [at, leads] of [
    [links.plain, address],
    [links.behind, other],
  ] as const) {
    await page.mouse.move(at.x, at.y);
    await expect(hint).toContainText(leads);
    await expect(hint).toContainText("Ctrl-click opens this");
    const pages = context.pages().length;
    await page.mouse.click(at.x, at.y);
    await page.waitForTimeout(200);
    expect(context.pages()).toHaveLength(pages);
    const opened = context.waitForEvent("page");
    await page.mouse.move(at.x + 1, at.y);
    await page.keyboard.down("Control");
    await page.mouse.click(at.x, at.y);
    await page.keyboard.up("Control");
    const tab = await opened;
    await expect.poll(() => tab.url()).toBe(leads);
    expect(await tab.evaluate(() => window.opener)).toBeNull();
    await tab.close();
    await page.mouse.move(at.x, at.y + 200);
    await expect(hint).toHaveCount(0);
  }
});

test("a link opens with a click, when that was chosen", async ({ terminal, server, context }) => {
  const { page } = terminal;
  await page.evaluate(() => localStorage.setItem("shellport.openLinks", "click"));
  await page.reload();
  await terminal.ready();
  await page.locator(".xterm-helper-textarea").focus();
  const address = `${server.origin}icon.svg`;
  const { plain } = await printLinks(terminal, address, address);
  await page.mouse.move(plain.x, plain.y);
  await expect(page.locator(".link-hint")).toContainText("A click opens this");
  const opened = context.waitForEvent("page");
  await page.mouse.click(plain.x, plain.y);
  await expect.poll(async () => (await opened).url()).toBe(address);
});

test("only addresses of the web are links", async ({ terminal, context }) => {
  const { page } = terminal;
  for (const address of ["javascript:alert\\(1\\)", "file:///etc/passwd", "data:text/html,x", "ssh://host"]) {
    const { behind } = await printLinks(terminal, "nothing", address);
    const pages = context.pages().length;
    await page.mouse.move(behind.x, behind.y);
    await page.keyboard.down("Control");
    await page.mouse.click(behind.x, behind.y);
    await page.keyboard.up("Control");
    await page.waitForTimeout(150);
    await expect(page.locator(".link-hint")).toHaveCount(0);
    expect(context.pages()).toHaveLength(pages);
  }
});
