import { endInsertion } from "../support/editor.ts";
import { expect, test } from "../support/test.ts";

test("after a reload there is the same shell and the same screen", async ({ terminal }) => {
  await terminal.enter("kept=still-$((40+2))");
  await terminal.enter(String.raw`printf '\033[31m\162ed\033[0m 漢字| 🦀|\n\tindented\n'; ls /`);
  await terminal.shows(/漢字\| 🦀\|$/);
  await terminal.ready();
  const before = await terminal.rows();
  await terminal.page.reload();
  await terminal.connected();
  await expect.poll(() => terminal.rows()).toEqual(before);
  await expect(terminal.lines.getByText("red", { exact: true })).toHaveCSS("color", "rgb(255, 122, 114)");
  await terminal.enter("echo $kept");
  await terminal.shows("still-42");
});

test("after a reload a full-screen program is still there, and goes back to the same screen", async ({ terminal }) => {
  await terminal.enter("echo under-$((1))");
  await terminal.shows("under-1");
  await terminal.enter("vi /tmp/x");
  await terminal.shows(/^- \/tmp\/x/);
  await terminal.page.keyboard.type("ikept");
  await terminal.shows("kept");
  await terminal.shows(/^I \/tmp\/x/);
  const before = await terminal.rows();
  await terminal.page.reload();
  await terminal.connected();
  await expect.poll(() => terminal.rows()).toEqual(before);
  await terminal.page.keyboard.type(" too");
  await terminal.shows("kept too");
  await endInsertion(terminal, "/tmp/x");
  await terminal.enter(":q!");
  await terminal.shows("under-1");
});
