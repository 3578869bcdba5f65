import { images } from "../support/environment.ts";
import { checkNames } from "../support/names.ts";
import { expect, test } from "../support/test.ts";

test("every control of the list has a name", async ({ open, server }) => {
  await server.createSession(images.sh);
  const page = await open("");
  await expect(page.getByText("Running")).toBeVisible();
  await page.getByText("Options").click();
  await checkNames(page);
  await page.getByRole("button", { name: /^Delete / }).click();
  await checkNames(page);
});

test("every control of the terminal has a name", async ({ terminal }) => {
  const { page } = terminal;
  await page.getByRole("button", { name: "Menu" }).click();
  await checkNames(page);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Search" }).click();
  await checkNames(page);
});
