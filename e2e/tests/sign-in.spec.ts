import { expect, test } from "../support/test.ts";

test.use({ signedIn: false });

test("without a token there is a form, which refuses a wrong one", async ({ open, server, complaints }) => {
  complaints.expect(/401/);
  const page = await open("");
  const field = page.getByLabel("Token");
  await expect(field).toBeFocused();
  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("does not accept this token");
  await field.fill(server.token);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "New session" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { name: "New session" })).toBeVisible();
});

for (const path of ["", "sessions/none"]) {
  test(`the token of /${path}#token= signs in and does not stay in the address`, async ({ open, server, complaints }) => {
    complaints.expect(/404/);
    const page = await open(`${path}#token=${server.token}`);
    await expect(page.getByText(path ? "There is no such session" : "No sessions yet")).toBeVisible();
    expect(page.url()).toBe(server.origin + path);
    const visited = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
    expect(visited.length).toBeGreaterThan(0);
    expect(visited.join(" ")).not.toContain(server.token);
    await page.goBack().catch(() => null);
    expect(page.url()).not.toContain(server.token);
  });
}

test("a token that is refused later leads back to the form", async ({ open, server, complaints }) => {
  complaints.expect(/401/);
  const page = await open(`#token=${server.token}`);
  await expect(page.getByText("No sessions yet")).toBeVisible();
  await page.evaluate(() => localStorage.setItem("shellport.token", "old"));
  await page.reload();
  await expect(page.getByRole("alert")).toContainText("does not accept this token");
});
