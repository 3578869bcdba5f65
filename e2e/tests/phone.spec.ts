import { checkNames } from "../support/names.ts";
import { expect, test } from "../support/test.ts";

test.use({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });

test("a phone has room for everything, and keys that its keyboard lacks", async ({ terminal, server }) => {
  const { page } = terminal;
  await checkNames(page);
  await terminal.enter("echo a-$((1))");
  await terminal.shows("a-1");
  await page.getByRole("button", { name: "Up", exact: true }).tap();
  await page.keyboard.press("Enter");
  await expect.poll(async () => (await terminal.text()).filter((row) => row === "a-1").length).toBe(2);
  await page.getByRole("button", { name: "Ctrl" }).tap();
  await page.keyboard.type("d");
  await expect(page.getByRole("alertdialog", { name: "The shell exited." })).toBeVisible();

  for (const path of [page.url(), server.origin]) {
    await page.goto(path);
    await expect(page.getByRole("main")).toBeVisible();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  }
});
