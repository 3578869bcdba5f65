import { images } from "../support/environment.ts";
import { tabTo } from "../support/focus.ts";
import { Terminal } from "../support/terminal.ts";
import { expect, test } from "../support/test.ts";

test("the list and the form can be used by keyboard alone", async ({ open, server }) => {
  const page = await open("");
  await tabTo(page.getByLabel("Image"));
  await page.keyboard.type(images.sh);
  await page.keyboard.press("Enter");
  const terminal = new Terminal(page);
  await terminal.ready();
  await terminal.enter("echo by-$((1))-hand");
  await terminal.shows("by-1-hand");

  await page.goto(server.origin);
  const remove = page.getByRole("button", { name: /^Delete / });
  await expect(remove).toBeVisible();
  await tabTo(remove);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Cancel" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByText("No sessions yet")).toBeVisible();
});

test("the terminal can be left by keyboard, and come back to", async ({ terminal }) => {
  const { page } = terminal;
  await page.keyboard.press("Control+Shift+M");
  await expect(page.getByRole("button", { name: "Menu" })).toBeFocused();
  await tabTo(page.getByRole("button", { name: "Larger" }));
  await page.keyboard.press("Escape");
  await terminal.enter("echo back-$((1))");
  await terminal.shows("back-1");
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("button", { name: "Delete session" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await terminal.enter("echo back-$((2))");
  await terminal.shows("back-2");
});

test("leaving a terminal that is in use is asked about, and closing an unused page is not", async ({ terminal }) => {
  const { page } = terminal;
  await terminal.enter("echo used-$((1))");
  await terminal.shows("used-1");
  const asked = page.waitForEvent("dialog");
  await page.close({ runBeforeUnload: true });
  const dialog = await asked;
  expect(dialog.type()).toBe("beforeunload");
  await dialog.dismiss();
  await terminal.enter("echo stayed-$((1))");
  await terminal.shows("stayed-1");

  page.on("dialog", (dialog) => void dialog.accept());
  await terminal.enter("exit");
  await expect(page.getByRole("alertdialog")).toBeVisible();
  const closed = page.waitForEvent("close");
  await page.close({ runBeforeUnload: true });
  await closed;
});

test("Ctrl-Shift-C copies what is selected, and Ctrl-Shift-V pastes it", async ({ terminal, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const { page } = terminal;
  await terminal.enter("clear; echo pick-$((1))-me");
  await terminal.shows("pick-1-me");
  const word = await terminal.lines.getByText("pick-1-me", { exact: true }).boundingBox();
  await page.mouse.dblclick(word!.x + 20, word!.y + word!.height / 2);
  await page.keyboard.press("Control+Shift+C");
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe("pick-1-me");
  await page.keyboard.type("echo pasted:");
  await page.keyboard.press("Control+Shift+V");
  await page.keyboard.press("Enter");
  await terminal.shows("pasted:pick-1-me");
});
