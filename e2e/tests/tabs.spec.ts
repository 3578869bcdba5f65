import { Terminal } from "../support/terminal.ts";
import { expect, test } from "../support/test.ts";

test("two tabs see the same terminal, and the one that is used decides its size", async ({ terminal, open }) => {
  const other = new Terminal(await open(new URL(terminal.page.url()).pathname.slice(1)));
  await other.ready();
  await terminal.page.bringToFront();
  await terminal.enter("echo from-$((1))");
  await other.shows("from-1");
  await other.page.bringToFront();
  await other.enter("echo from-$((2))");
  await terminal.shows("from-2");
  await expect.poll(() => other.rows()).toEqual(await terminal.rows());

  const large = await terminal.lines.count();
  await other.page.setViewportSize({ width: 600, height: 360 });
  await expect.poll(() => terminal.lines.count()).toBeLessThan(large);
  const small = await other.lines.count();
  expect(await terminal.lines.count()).toBe(small);
  await other.enter("stty size");
  await terminal.shows(new RegExp(`^${small} \\d+$`));

  await terminal.page.bringToFront();
  await terminal.page.keyboard.press("Enter");
  await expect.poll(() => terminal.lines.count()).toBe(large);
  await terminal.enter("stty size");
  await terminal.shows(new RegExp(`^${large} \\d+$`));
});

test("everyone sees who types, and the keyboard can be taken over", async ({ terminal, open }) => {
  const status = (page: typeof terminal.page) => page.locator(".viewers");
  await expect(status(terminal.page)).toHaveCount(0);
  const other = new Terminal(await open(new URL(terminal.page.url()).pathname.slice(1)));
  await other.ready();
  await expect(status(other.page)).toContainText("2 here, you type");
  await expect(status(terminal.page)).toContainText("2 here, another types");
  await terminal.page.getByRole("button", { name: "Take over" }).click();
  await expect(status(terminal.page)).toContainText("2 here, you type");
  await expect(status(other.page)).toContainText("2 here, another types");
  // Who asks gets one answer, whoever watches.
  const ask = "stty -echo -icanon min 0 time 10; printf '\\033[6n'; got=$(cat -v); stty sane; echo; echo \"got $got\"";
  await terminal.enter(ask);
  await terminal.shows(/^got \^\[\[\d+;\d+R$/);
  await other.page.close();
  await expect(status(terminal.page)).toHaveCount(0);
});

test("with three viewers, each sees how many there are and whether they type", async ({ terminal, open }) => {
  const path = new URL(terminal.page.url()).pathname.slice(1);
  const status = (it: Terminal) => it.page.locator(".viewers");
  const second = new Terminal(await open(path));
  await second.ready();
  const third = new Terminal(await open(path));
  await third.ready();
  await expect(status(third)).toHaveText("3 here, you type");
  for (const other of [terminal, second]) {
    await expect(status(other)).toContainText("3 here, another types");
    await expect(other.page.getByRole("button", { name: "Take over" })).toBeVisible();
  }
  await second.page.bringToFront();
  await second.page.getByRole("button", { name: "Take over" }).click();
  await expect(status(second)).toHaveText("3 here, you type");
  for (const other of [terminal, third]) await expect(status(other)).toContainText("3 here, another types");
  await second.page.close();
  for (const other of [terminal, third]) await expect(status(other)).toContainText("2 here");
  await terminal.page.bringToFront();
  await terminal.enter("echo from-$((3))");
  await third.shows("from-3");
});
