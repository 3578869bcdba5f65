import { images } from "../support/environment.ts";
import { Terminal } from "../support/terminal.ts";
import { expect, test } from "../support/test.ts";

test("a session is created from the page, and its shell answers", async ({ open }) => {
  const page = await open("");
  await page.getByLabel("Image").fill(images.bash);
  await page.getByLabel("Name").fill("first steps");
  await page.getByRole("button", { name: "Create session" }).click();
  const terminal = new Terminal(page);
  await expect(page.getByRole("heading", { name: "first steps" })).toBeVisible();
  await terminal.ready();
  await terminal.enter("echo $((6*7))");
  await terminal.shows("42");
});

test("an image that does not exist is told with its reason", async ({ open }) => {
  const page = await open("");
  await page.getByLabel("Image").fill("127.0.0.1:1/no/such-image:1");
  await page.getByRole("button", { name: "Create session" }).click();
  const card = page.getByRole("alertdialog", { name: "The session could not be created" });
  await expect(card).toBeVisible();
  await expect(card).toContainText("such-image");
  await expect(card).toContainText("refused");
  await expect(card.getByRole("button", { name: "Try again" })).toBeVisible();
});
