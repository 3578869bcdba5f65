import type { Page } from "@playwright/test";
import type { Terminal } from "../support/terminal.ts";
import { expect, test } from "../support/test.ts";

test.beforeEach(async ({ context }) => context.grantPermissions(["clipboard-read", "clipboard-write"]));

const copied = (page: Page) => page.evaluate(() => navigator.clipboard.readText());
const choose = (page: Page, name: string, value: string) =>
  page.evaluate(([name, value]) => localStorage.setItem(`shellport.${name}`, value!), [name, value]);

/** Puts text on the clipboard, and pastes it as the browser does. */
async function paste(page: Page, text: string): Promise<void> {
  await page.evaluate((text) => navigator.clipboard.writeText(text), text);
  await page.locator(".xterm-helper-textarea").focus();
  await page.keyboard.press("Control+Shift+V");
}

/** Where a row's text is on the page. */
async function place(terminal: Terminal, row: string): Promise<{ x: number; y: number }> {
  await terminal.shows(row);
  const box = await terminal.lines.filter({ hasText: row }).last().boundingBox();
  return { x: box!.x + 20, y: box!.y + box!.height / 2 };
}

/** Prints a word and selects it by a double click. */
async function select(terminal: Terminal, word: string): Promise<{ x: number; y: number }> {
  await terminal.enter(`clear; printf '${[...word].map((it) => `\\${it.charCodeAt(0).toString(8)}`).join("")}\\n'`);
  const at = await place(terminal, word);
  await terminal.page.mouse.dblclick(at.x, at.y);
  return at;
}

/** Reopens the page with other settings. */
async function withSettings(terminal: Terminal, settings: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) await choose(terminal.page, name, value);
  await terminal.page.reload();
  await terminal.ready();
  await terminal.page.locator(".xterm-helper-textarea").focus();
}

test("a middle click pastes what was selected last, once", async ({ terminal }) => {
  const { page } = terminal;
  const at = await select(terminal, "middle");
  // A click elsewhere takes the selection away, but not what a middle click pastes.
  await page.mouse.click(at.x + 300, at.y + 40);
  await page.keyboard.type("echo got:");
  await page.mouse.click(at.x, at.y, { button: "middle" });
  await terminal.shows(/echo got:middle$/);
  await page.keyboard.type(":end");
  await page.keyboard.press("Enter");
  await terminal.shows("got:middle:end");
});

test("a middle click pastes also where the browser does not", async ({ terminal }) => {
  const { page } = terminal;
  const at = await select(terminal, "middle");
  await page.keyboard.type("echo got:");
  // Chromium on Linux pastes by itself.
  await page.evaluate(() => {
    const none = (event: Event) => (event.preventDefault(), event.stopImmediatePropagation());
    addEventListener("paste", none, { capture: true });
  });
  await page.mouse.click(at.x, at.y, { button: "middle" });
  await terminal.shows(/echo got:middle$/);
});

test("a right click gives the browser what its menu copies and pastes", async ({ terminal }) => {
  const { page } = terminal;
  const at = await select(terminal, "rightly");
  await page.mouse.click(at.x, at.y, { button: "right" });
  const field = page.locator(".xterm-helper-textarea");
  await expect(field).toBeFocused();
  const box = await field.boundingBox();
  expect(at.x).toBeGreaterThanOrEqual(box!.x);
  expect(at.x).toBeLessThanOrEqual(box!.x + box!.width);
  expect(at.y).toBeGreaterThanOrEqual(box!.y);
  expect(at.y).toBeLessThanOrEqual(box!.y + box!.height);
  // What the menu's items, and Cmd-C and Cmd-V on a Mac, do.
  await page.evaluate(() => document.execCommand("copy"));
  expect(await copied(page)).toBe("rightly");
  await page.keyboard.type("echo got:");
  await paste(page, "pasted");
  await page.keyboard.press("Enter");
  await terminal.shows("got:pasted");
});

test("a right click pastes, when that was chosen", async ({ terminal }) => {
  const { page } = terminal;
  await withSettings(terminal, { rightClick: "paste" });
  const at = await select(terminal, "unused");
  await page.evaluate(() => navigator.clipboard.writeText("from-the-clipboard"));
  await page.keyboard.type("echo got:");
  await page.mouse.click(at.x, at.y, { button: "right" });
  await terminal.shows(/echo got:from-the-clipboard$/);
});

test("a right click copies what is selected and else pastes, when that was chosen", async ({ terminal }) => {
  const { page } = terminal;
  await withSettings(terminal, { rightClick: "copy-paste" });
  const at = await select(terminal, "selected");
  await page.mouse.click(at.x, at.y, { button: "right" });
  await expect.poll(() => copied(page)).toBe("selected");
  await page.keyboard.type("echo got:");
  await page.mouse.click(at.x, at.y, { button: "right" });
  await terminal.shows(/echo got:selected$/);
});

test("what is selected is copied at once, when that was chosen", async ({ terminal }) => {
  const { page } = terminal;
  await page.evaluate(() => navigator.clipboard.writeText("before"));
  await select(terminal, "usually-not");
  expect(await copied(page)).toBe("before");
  await withSettings(terminal, { copyOnSelect: "true" });
  const at = await select(terminal, "at-once");
  await expect.poll(() => copied(page)).toBe("at-once");
  // By dragging as well, and let go outside of the terminal.
  await page.evaluate(() => navigator.clipboard.writeText("before"));
  await page.mouse.move(at.x + 100, at.y);
  await page.mouse.down();
  await page.mouse.move(at.x, at.y, { steps: 4 });
  await page.mouse.move(2, at.y);
  await page.mouse.up();
  await expect.poll(() => copied(page)).toBe("at-once");
});

test("a program that asks for the mouse gets it, and Shift keeps it", async ({ terminal }) => {
  const { page } = terminal;
  await withSettings(terminal, { rightClick: "paste", copyOnSelect: "true" });
  await page.evaluate(() => navigator.clipboard.writeText("not-this"));
  await terminal.enter("clear; printf '\\033[?1000h\\033[?1006hword\\n'; stty -icanon; sleep 99");
  const at = await place(terminal, "word");
  await page.mouse.click(at.x, at.y);
  await terminal.shows(/\^\[\[<0;\d+;\d+M\^\[\[<0;\d+;\d+m/);
  await page.mouse.click(at.x, at.y, { button: "middle" });
  await terminal.shows(/\^\[\[<1;\d+;\d+M/);
  await page.mouse.click(at.x, at.y, { button: "right" });
  await terminal.shows(/\^\[\[<2;\d+;\d+M/);
  expect((await terminal.rows()).join("")).not.toContain("not-this");
  await page.keyboard.down("Shift");
  await page.mouse.dblclick(at.x, at.y);
  await page.keyboard.up("Shift");
  await expect.poll(() => copied(page)).toBe("word");
});

test("several lines are pasted into a shell that would run them only after a question", async ({ terminal }) => {
  const { page } = terminal;
  const dialog = page.getByRole("dialog", { name: "Paste these lines?" });
  await terminal.clear();
  await paste(page, "echo first-$((1))\necho second-$((2))\n");
  await expect(dialog).toBeVisible();
  await expect(dialog.getByLabel("The text")).toHaveText("echo first-$((1))\necho second-$((2))");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await terminal.enter("echo not-$((0))");
  await terminal.shows("not-0");
  expect(await terminal.rows()).not.toContain("first-1");

  await terminal.ready();
  await paste(page, "echo first-$((1))\necho second-$((2))\n");
  await page.keyboard.press("Enter");
  await terminal.shows("first-1");
  await terminal.shows("second-2");

  await terminal.ready();
  await paste(page, "echo third-$((3))\n");
  await dialog.getByLabel("Do not ask again").check();
  await dialog.getByRole("button", { name: "Paste" }).click();
  await terminal.shows("third-3");
  await terminal.ready();
  await paste(page, "echo fourth-$((4))\n");
  await terminal.shows("fourth-4");
  await expect(dialog).toBeHidden();
});

test("a shell that can tell a paste is not asked for, and cannot be tricked", async ({ terminal }) => {
  const { page } = terminal;
  await terminal.enter("clear; printf '\\033[?2004hready\\n'; stty -icanon; sleep 99");
  await terminal.shows("ready");
  await paste(page, "one\x1b[201~\ntwo");
  await terminal.shows("^[[200~one␛[201~");
  await terminal.shows("two^[[201~");
});

test("megabytes are pasted whole and in order, and the page stays alive", async ({ terminal }) => {
  const { page } = terminal;
  await withSettings(terminal, { askBeforePaste: "false" });
  const line = (number: number) => `${String(number).padStart(7, "0")} abcdefghijklmnopqrstuvwxyz äöü 0123456789\n`;
  const text = Array.from({ length: 80_000 }, (_, number) => line(number)).join("");
  const bytes = Buffer.byteLength(text);
  await terminal.enter(`clear; stty raw -echo; echo ready; head -c ${bytes} | tr '\\r' '\\n' | sha256sum; stty sane`);
  await terminal.shows("ready");
  const longest = page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        let last = performance.now();
        let longest = 0;
        const timer = setInterval(() => {
          const now = performance.now();
          longest = Math.max(longest, now - last);
          last = now;
        }, 20);
        addEventListener("measured", () => (clearInterval(timer), resolve(longest)), { once: true });
      }),
  );
  await paste(page, text);
  const digest = await crypto.subtle.digest("SHA-256", Buffer.from(text));
  await terminal.shows(new RegExp(`^ *${Buffer.from(digest).toString("hex")}`));
  await page.evaluate(() => dispatchEvent(new Event("measured")));
  expect(await longest).toBeLessThan(1500);
});

test("a program may offer text for the clipboard, and never read it", async ({ terminal }) => {
  const { page } = terminal;
  await page.evaluate(() => navigator.clipboard.writeText("mine"));
  const offer = (targets: string, text: string) =>
    terminal.enter(`printf '\\033]52;${targets};%s\\007' ${Buffer.from(text).toString("base64")}`);
  await offer("c", "offered");
  await expect(page.getByText("The program wants to copy 7 characters.")).toBeVisible();
  expect(await copied(page)).toBe("mine");
  await page.getByRole("button", { name: "Ignore" }).click();
  expect(await copied(page)).toBe("mine");
  await offer("p", "selected");
  await page.getByRole("button", { name: "Copy", exact: true }).click();
  await expect.poll(() => copied(page)).toBe("selected");
  await offer("0", "cut buffer");
  await terminal.enter("head -c 1100000 /dev/zero | base64 | tr -d '\\n' >/tmp/long; printf '\\033]52;c;'; cat /tmp/long; printf '\\007'");
  await terminal.enter("echo not-$((1))");
  await terminal.shows("not-1");
  await expect(page.getByText("The program wants to copy")).toHaveCount(0);

  await terminal.enter(
    "clear; stty -echo -icanon min 0 time 15; printf '\\033]52;c;?\\007\\033]52;p;?\\033\\\\\\033]52;;?;\\007'; got=$(cat -v); stty sane; echo; echo \"got [$got]\"",
  );
  await terminal.shows("got []");
});
