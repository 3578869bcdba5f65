import { Terminal } from "../support/terminal.ts";
import { expect, test } from "../support/test.ts";

// Device attributes, the cursor's place, the text's colour and its background.
const QUERIES = String.raw`\033[c\033[6n\033]10;?\007\033]11;?\007`;

test("what a program asks is answered once, however often the page is opened", async ({ terminal, open }) => {
  const other = new Terminal(await open(new URL(terminal.page.url()).pathname.slice(1)));
  await other.ready();
  await terminal.page.bringToFront();
  // Until somebody types a q, which is in no answer.
  const listen = 'while key=$(dd bs=1 count=1 2>/dev/null); [ "$key" != q ]; do printf %s "$key"; done | cat -v >/tmp/got';
  const show = "stty sane; clear; cat /tmp/got; echo; echo listened";
  await terminal.enter(`stty -echo -icanon min 1 time 0; printf '${QUERIES}'; echo asked; ${listen}; ${show}`);
  await terminal.shows("asked");
  for (let count = 0; count < 10; count += 1) {
    for (const { page } of [terminal, other]) await page.reload();
    await terminal.connected();
    await other.connected();
  }
  await terminal.page.keyboard.press("q");
  await terminal.shows("listened");
  const rows = await terminal.rows();
  const got = rows.slice(0, rows.indexOf("listened")).join("");
  const colour = "rgb:[0-9a-f]{4}/[0-9a-f]{4}/[0-9a-f]{4}";
  const answers = [
    String.raw`\^\[\[\?62;4;9;22c`,
    String.raw`\^\[\[\d+;\d+R`,
    String.raw`\^\[\]10;${colour}\^\[\\`,
    String.raw`\^\[\]11;${colour}\^\[\\`,
  ];
  expect(got).toMatch(new RegExp(`^${answers.join("")}$`));
});
