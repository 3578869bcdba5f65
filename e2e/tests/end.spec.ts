import { expect, test } from "../support/test.ts";
import { images } from "../support/environment.ts";

test("an exit is shown with its code, and Enter opens a new shell", async ({ terminal }) => {
  const { page } = terminal;
  await terminal.enter("old=yes");
  await terminal.enter("echo last-$((1)); exit 7");
  const card = page.getByRole("alertdialog", { name: "The shell exited with code 7." });
  await expect(card).toBeVisible();
  await terminal.shows("last-1");
  await expect(card.getByRole("button", { name: "Open a new shell" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(card).toBeHidden();
  await terminal.ready();
  await terminal.enter("echo old=$old.");
  await terminal.shows("old=.");
});

test("an exit is still told after a reload", async ({ terminal }) => {
  await terminal.enter("exit 3");
  const card = terminal.page.getByRole("alertdialog", { name: "The shell exited with code 3." });
  await expect(card).toBeVisible();
  await terminal.page.reload();
  await expect(card).toBeVisible();
});

test.describe("bash", () => {
  test.use({ image: images.bash });

  test("a signal is told by its name", async ({ terminal }) => {
    await terminal.enter("kill -KILL $$");
    await expect(terminal.page.getByRole("alertdialog", { name: "The shell was ended by SIGKILL." })).toBeVisible();
  });
});
