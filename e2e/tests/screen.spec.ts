import { endInsertion } from "../support/editor.ts";
import { expect, test } from "../support/test.ts";

test("colours of all three kinds are drawn", async ({ terminal }) => {
  // The words are spelled in octal, so that only the output holds them.
  await terminal.enter(
    String.raw`printf '\033[31m\162ed\033[0m \033[48;5;22m\144eep\033[0m \033[1;38;2;1;200;3m\142right\033[0m\n'`,
  );
  await terminal.shows("red deep bright");
  const word = (text: string) => terminal.lines.locator("span").getByText(text, { exact: true });
  await expect(word("red")).toHaveCSS("color", "rgb(255, 122, 114)");
  await expect(word("deep")).toHaveCSS("background-color", "rgb(0, 95, 0)");
  await expect(word("bright")).toHaveCSS("color", "rgb(1, 200, 3)");
  await expect(word("bright")).toHaveCSS("font-weight", "700");
});

test("an editor takes the screen and gives it back", async ({ terminal }) => {
  await terminal.enter("echo before-$((1))");
  await terminal.shows("before-1");
  const rowsBefore = await terminal.rows();
  const before = rowsBefore.slice(0, rowsBefore.indexOf("before-1") + 1);
  await terminal.enter("vi /tmp/poem");
  await terminal.shows(/^- \/tmp\/poem/);
  await terminal.page.keyboard.type("iroses are red");
  await terminal.page.keyboard.press("Enter");
  await terminal.page.keyboard.type("violets");
  await endInsertion(terminal, "/tmp/poem");
  await terminal.page.keyboard.type("kA!");
  await terminal.shows("roses are red!");
  await endInsertion(terminal, "/tmp/poem");
  const rows = await terminal.rows();
  expect(rows.slice(0, 2)).toEqual(["roses are red!", "violets"]);
  expect(new Set(rows.slice(2, -1))).toEqual(new Set(["~"]));
  expect(rows.at(-1)).toContain("/tmp/poem");

  await terminal.enter(":wq");
  await expect.poll(async () => (await terminal.rows()).slice(0, before.length)).toEqual(before);
  await terminal.enter("cat /tmp/poem");
  await terminal.shows("roses are red!");
  await terminal.shows("violets");
});

test("a full-screen program draws where it wants to", async ({ terminal }) => {
  // The alternate screen, a scroll region, insertion and deletion of lines and characters.
  await terminal.enter(
    String.raw`printf '\033[?1049h\033[2J\033[H\164op\033[5;10Hmiddle\033[2;4r\033[4;1Ha\nb\nc\033[r\033[5;10H\033[2@\033[6;1Hxyz\033[6;1H\033[P\033[999;1Hbottom'; read -r _; printf '\033[?1049l'`,
  );
  await terminal.shows("bottom");
  const rows = await terminal.rows();
  expect(rows.slice(0, 6)).toEqual(["top", "a", "b", "c", "           middle", "yz"]);
  expect(rows.slice(6, -1).join("")).toBe("");
  expect(rows.at(-1)).toBe("bottom");
  await terminal.page.keyboard.press("Enter");
  await terminal.ready();
  expect(await terminal.rows()).not.toContain("bottom");
});

test("wide and combined characters take the cells that they should", async ({ terminal }) => {
  const lines = ["漢字カナ", "한글", "e\u0301te\u0301", "ｆｕｌｌ", "🦀🚀", "öäü ß €"];
  const script = lines.map((line) => `${line}|`).join("\\n");
  await terminal.enter(`clear; printf '${script}\\n'; echo end-$((1))`);
  await terminal.shows("end-1");
  expect((await terminal.text()).slice(0, lines.length)).toEqual(lines.map((line) => `${line}|`));

  // The program's idea of a column is the screen's: a bar put at a column stands behind the text.
  await terminal.enter("clear; printf '漢字🦀\\033[1;7H|\\n'; echo end-$((2))");
  await terminal.shows("end-2");
  expect((await terminal.text())[0]).toBe("漢字🦀|");
});
