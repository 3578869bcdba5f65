import { images } from "../support/environment.ts";
import { expect, test } from "../support/test.ts";

test("a session is stopped, started and deleted on its page", async ({ terminal, server, complaints }) => {
  // The page may be asking after the session at the moment it goes.
  complaints.expect(/404/);
  const { page } = terminal;
  const choose = async (item: string) => {
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("button", { name: item }).click();
  };
  await terminal.enter("echo kept >/tmp/file");
  await choose("Stop session");
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  const card = page.getByRole("alertdialog", { name: "The session is stopped" });
  await expect(card).toBeVisible();
  await card.getByRole("button", { name: "Start" }).click();
  await terminal.connected();
  await terminal.ready();
  await terminal.enter("cat /tmp/file");
  await terminal.shows("kept");

  await choose("Delete session");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page).toHaveURL(server.origin);
  await expect(page.getByText("No sessions yet")).toBeVisible();
});

test("a session that is deleted elsewhere says so", async ({ terminal, server, complaints }) => {
  complaints.expect(/404/);
  await server.deleteSessions();
  await expect(terminal.page.getByRole("alertdialog", { name: "There is no such session" })).toBeVisible();
});

test("the list stops and starts a session", async ({ open, server }) => {
  const { id } = await server.createSession(images.sh);
  const page = await open("");
  const row = page.getByRole("listitem").filter({ has: page.locator(`a[href$="${id}"]`) });
  await expect(row).toContainText("Running");
  await row.getByRole("button", { name: /^Stop / }).click();
  await expect(row).toContainText("Stopped");
  await row.getByRole("button", { name: /^Start / }).click();
  await expect(row).toContainText("Running");
});
