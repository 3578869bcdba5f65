import { expect, test } from "../support/test.ts";

test("the program's size is what is drawn, before and after the window is resized", async ({ terminal }) => {
  const { page } = terminal;
  for (const viewport of [null, { width: 720, height: 480 }, { width: 1280, height: 760 }]) {
    if (viewport) {
      const before = await terminal.lines.count();
      await page.setViewportSize(viewport);
      await expect.poll(() => terminal.lines.count()).not.toBe(before);
    }
    const { cols, rows } = await terminal.size();
    await terminal.enter("stty size");
    await terminal.shows(`${rows} ${cols}`);

    // All of it can be seen, and no room is wasted.
    const last = await terminal.lines.last().boundingBox();
    const room = page.viewportSize()!.height - (last!.y + last!.height);
    expect(room).toBeGreaterThanOrEqual(0);
    expect(room).toBeLessThan(2 * last!.height);
    expect(last!.x + last!.width).toBeLessThanOrEqual(page.viewportSize()!.width);
  }
});

test("a program that runs hears of a new size", async ({ terminal }) => {
  await terminal.enter(`clear; sh -c 'trap "stty size" WINCH; echo waiting; while :; do sleep 0.1; done'`);
  await terminal.shows("waiting");
  const before = await terminal.lines.count();
  await terminal.page.setViewportSize({ width: 800, height: 400 });
  await expect.poll(() => terminal.lines.count()).toBeLessThan(before);
  const rows = await terminal.lines.count();
  await terminal.shows(new RegExp(`^${rows} \\d+$`));
});
