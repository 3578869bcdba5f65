import { expect, type Page } from "@playwright/test";

/** Whatever can be used has a name, and the page is one document with one heading of the first rank. */
export async function checkNames(page: Page): Promise<void> {
  const tree = await page.locator("body").ariaSnapshot();
  const controls = tree.match(/- (button|link|textbox|combobox|checkbox|dialog|alertdialog)\b.*/g) ?? [];
  expect(controls.length).toBeGreaterThan(0);
  expect(controls.filter((control) => !/^- \w+ "[^"]+/.test(control))).toEqual([]);
  await expect(page).toHaveTitle(/./);
  await expect(page.locator("html")).toHaveAttribute("lang", /./);
  await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
  await expect(page.getByRole("main")).toHaveCount(1);
  const ids = await page.locator("[id]").evaluateAll((elements) => elements.map(({ id }) => id));
  expect(ids).toEqual([...new Set(ids)]);
}
