import type { Page } from "@playwright/test";
import { SlowNetwork } from "../support/delay.ts";
import { images } from "../support/environment.ts";
import { Terminal } from "../support/terminal.ts";
import { expect, test as base } from "../support/test.ts";

/** Each way: what is typed is seen after twice as long, without help. */
const FAR_MS = 300;

const test = base.extend<{ network: SlowNetwork; far: Terminal }>({
  network: async ({ server }, use) => {
    const network = await SlowNetwork.before(server.origin);
    await use(network);
    await network.close();
  },

  /** A terminal with a prompt, reached over the network, which is slow from then on. */
  far: async ({ context, network, server, image }, use) => {
    const { id } = await server.createSession(image);
    const page = await context.newPage();
    await page.addInitScript(
      ([token]) => {
        localStorage.setItem("shellport.token", token!);
        localStorage.setItem("shellport.renderer", "dom");
      },
      [server.token],
    );
    await page.goto(`${network.origin}sessions/${id}`);
    const terminal = new Terminal(page);
    await terminal.ready();
    await terminal.clear();
    network.delay = FAR_MS;
    await expect(page.locator(".trip")).toHaveClass(/slow/);
    await use(terminal);
  },
});

/** What is drawn above the screen, read as a person does: the guesses of the row. */
const guesses = (page: Page) => page.locator(".predictions .guess").allTextContents();

/** Notes everything that is ever in the page's DOM and its accessible names. */
async function record(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const seen = new Set<string>();
    const note = () => {
      const rows = [...document.querySelectorAll(".xterm-rows > div")].map((row) => row.textContent);
      const guessed = [...document.querySelectorAll(".predictions")].map((it) => it.textContent);
      for (const text of [...rows, ...guessed]) if (text) seen.add(text);
    };
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
    Object.assign(window, { seen });
  });
  return () => page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen]);
}

test("what is typed in a shell is seen at once, and corrected at once", async ({ far }) => {
  const { page } = far;
  await page.keyboard.type("ec");
  await far.shows(/ec$/);
  // From here on, within much less than the program could take.
  await page.keyboard.type("hp");
  await expect(page.locator(".predictions .guess")).toHaveText(["h", "p"], { timeout: FAR_MS });
  await page.keyboard.press("Backspace");
  await expect(page.locator(".predictions .guess").first()).toHaveText("h", { timeout: FAR_MS });
  await page.keyboard.type("o at-");
  expect((await guesses(page)).join("")).toMatch(/^h?oat-$/);
  const row = await far.lines.filter({ hasText: /#/ }).first().boundingBox();
  const guess = await page.locator(".predictions .guess").last().boundingBox();
  expect(Math.abs(guess!.y - row!.y)).toBeLessThan(2);
  await page.keyboard.type("$((1))");
  await page.keyboard.press("Enter");
  // Enter does what nobody can foresee.
  await expect(page.locator(".predictions")).toHaveCount(0, { timeout: FAR_MS });
  await far.shows("at-1");
  expect((await far.rows())[0]).toMatch(/# echo at-\$\(\(1\)\)$/);
});

test("a guess that is wrong is taken back", async ({ far }) => {
  const { page } = far;
  await page.keyboard.type("ab");
  await far.shows(/ab$/);
  // The shell moves; nobody has said that it would.
  await page.keyboard.press("Home");
  await page.keyboard.type("x");
  expect(await guesses(page)).toEqual([]);
  await far.shows(/ xab$/);
  expect(await page.locator(".predictions").count()).toBe(0);
});

for (const [name, image] of Object.entries(images)) {
  test.describe(`with ${name}`, () => {
    test.use({ image });

    for (const [way, asks, asked, end] of [
      ["read -s", "read -s -p ask: secret", "ask:", "Enter"],
      ["stty -echo", "stty -echo; echo ask$((0)); cat >/tmp/typed", "ask0", "Control+D"],
    ] as const) {
      test(`a password that ${way} asks for never appears`, async ({ far }) => {
        const { page } = far;
        await far.enter(asks);
        await far.shows(asked);
        const seen = await record(page);
        await page.keyboard.type("QZXJVK", { delay: 60 });
        await page.waitForTimeout(3 * FAR_MS);
        await page.keyboard.type("WYQZ", { delay: 60 });
        await page.waitForTimeout(3 * FAR_MS);
        if (end !== "Enter") await page.keyboard.press("Enter");
        await page.keyboard.press(end);
        await far.ready();
        expect((await seen()).join("\n")).not.toMatch(/[QZXJVKWY]/);
        await far.enter('stty sane; echo "got ${secret:-$(cat /tmp/typed)}"');
        await far.shows(/got QZXJVKWYQZ$/);
      });
    }
  });
}

test("keys are not guessed on a fast link, or when nobody wants it", async ({ far, network }) => {
  const { page } = far;
  await page.evaluate(() => localStorage.setItem("shellport.localEcho", "off"));
  await page.reload();
  await far.connected();
  await expect(page.locator(".trip")).toHaveClass(/slow/);
  await page.locator(".xterm-helper-textarea").focus();
  await page.keyboard.type("a");
  await far.shows(/a$/);
  await page.keyboard.type("b");
  await page.waitForTimeout(FAR_MS / 3);
  expect(await guesses(page)).toEqual([]);
  await far.shows(/ab$/);

  network.delay = 0;
  await page.evaluate(() => localStorage.setItem("shellport.localEcho", "automatic"));
  await page.reload();
  await far.shows(/ab$/);
  await expect(page.locator(".trip")).not.toHaveClass(/slow/);
  const seen = await record(page);
  await page.locator(".xterm-helper-textarea").focus();
  await page.keyboard.type("cde", { delay: 50 });
  await far.shows(/abcde$/);
  expect((await seen()).filter((text) => /^[a-e]+$/.test(text))).toEqual([]);
});

test("the round trip is shown, and stands out when it is long", async ({ far, network }) => {
  const trip = far.page.locator(".trip");
  await expect(trip).toHaveText(/[67]\d\d ms/);
  network.delay = 0;
  await far.page.reload();
  await far.ready();
  await expect(trip).not.toHaveClass(/slow/);
  await expect(trip).toHaveText(/ \d{1,2} ms/);
});
