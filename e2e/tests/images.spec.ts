import { deflateSync } from "node:zlib";
import type { Page } from "@playwright/test";
import type { Terminal } from "../support/terminal.ts";
import { expect, test } from "../support/test.ts";

/** Pixels of the layer that images are drawn on which are nearly of this colour. */
function pixels(page: Page, [red, green, blue]: [number, number, number]): Promise<number> {
  return page.evaluate(
    ([red, green, blue]) => {
      const canvas = document.querySelector<HTMLCanvasElement>(".xterm-image-layer");
      if (!canvas) return 0;
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4) {
        const near = (index: number, value: number) => Math.abs(data[at + index]! - value) < 6;
        if (near(0, red!) && near(1, green!) && near(2, blue!) && data[at + 3]! > 250) count += 1;
      }
      return count;
    },
    [red, green, blue],
  );
}

/** A picture of one colour, of the size in pixels. */
function sixel(colour: string, width: number, bands: number): string {
  return String.raw`\033Pq#1;2;${colour}` + `#1!${width}~-`.repeat(bands) + String.raw`\033\134`;
}

/** A PNG of one colour. */
function png(width: number, height: number, colour: number[]): Buffer {
  const crc = (bytes: Buffer) => {
    let value = ~0;
    for (const byte of bytes) {
      value ^= byte;
      for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    }
    return ~value >>> 0;
  };
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const chunk = Buffer.alloc(body.length + 8);
    chunk.writeUInt32BE(data.length, 0);
    body.copy(chunk, 4);
    chunk.writeUInt32BE(crc(body), body.length + 4);
    return chunk;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.concat(Array.from({ length: width }, () => Buffer.from(colour)))]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: height }, () => row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))]);
}

/** Waits for the add-on: with it, the terminal says that it draws sixel (4). */
async function drawsImages(terminal: Terminal): Promise<void> {
  await terminal.enter("clear; stty -echo -icanon min 0 time 10; printf '\\033[c'; got=$(cat -v); stty sane; echo; echo \"got $got\"");
  await terminal.shows("got ^[[?62;4;9;22c");
}

test("an image of sixels is drawn, scrolls, and is gone when the screen is reset", async ({ terminal }) => {
  const { page } = terminal;
  await drawsImages(terminal);
  await terminal.enter(`clear; printf '${sixel("100;0;0", 60, 5)}'; echo; echo below-$((1))`);
  await terminal.shows("below-1");
  await expect.poll(() => pixels(page, [255, 0, 0])).toBe(60 * 30);
  const rows = await terminal.rows();
  // Text goes on below it.
  const row = await terminal.lines.first().boundingBox();
  expect(rows.indexOf("below-1")).toBeGreaterThanOrEqual(Math.floor(30 / row!.height));
  await terminal.enter("seq 200");
  await terminal.shows("200");
  expect(await pixels(page, [255, 0, 0])).toBe(0);
  await terminal.enter(String.raw`printf '\033c'; ` + `printf '${sixel("0;100;0", 10, 1)}'; echo; echo again-$((2))`);
  await terminal.shows("again-2");
  await expect.poll(() => pixels(page, [0, 255, 0])).toBe(60);
  await page.reload();
  await terminal.ready();
  expect(await pixels(page, [0, 255, 0])).toBe(0);
});

test("an image of iTerm's protocol is drawn, and one that is broken harms nothing", async ({ terminal, complaints }) => {
  const { page } = terminal;
  complaints.expect(/could not be decoded/);
  await drawsImages(terminal);
  await terminal.ready();
  const image = png(40, 20, [0, 0, 255]);
  const show = (bytes: Buffer, size = bytes.length) =>
    terminal.enter(`clear; printf '\\033]1337;File=inline=1;size=${size}:${bytes.toString("base64")}\\007'; echo`);
  await show(image);
  await expect.poll(() => pixels(page, [0, 0, 255])).toBeGreaterThan(700);
  await show(image.subarray(0, 30));
  await terminal.ready();
  await show(image, 99_999_999);
  await terminal.ready();
  await terminal.enter("echo alive-$((1))");
  await terminal.shows("alive-1");
});

test("images are limited, and can be switched off", async ({ terminal }) => {
  const { page } = terminal;
  await drawsImages(terminal);
  // 3000 by 3000 is more than one image may have; a thousand small ones make room for others.
  await terminal.enter(`clear; printf '${String.raw`\033Pq"1;1;3000;3000#1;2;100;0;0`}'; i=0; while [ $i -lt 500 ]; do printf '#1!3000~-'; i=$((i+1)); done; printf '${String.raw`\033\134`}'; echo large-$((1))`);
  await terminal.shows("large-1");
  expect(await pixels(page, [255, 0, 0])).toBe(0);
  const small = sixel("0;100;0", 6, 1);
  await terminal.enter(`clear; i=0; while [ $i -lt 2500 ]; do printf '${small}'; i=$((i+1)); done; echo; echo many-$((1))`);
  await terminal.shows("many-1");
  await expect(page.locator(".xterm-image-layer")).toHaveCount(1);

  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("button", { name: "Settings…" }).click();
  await page.getByLabel("Images").uncheck();
  await page.keyboard.press("Escape");
  await terminal.enter(`clear; printf '${small}'; echo; echo off-$((1))`);
  await terminal.shows("off-1");
  expect(await page.locator(".xterm-image-layer").count()).toBe(0);
});
