import { expect, type Locator, type Page } from "@playwright/test";

/** The terminal on a session's page, read the way a person reads it. */
export class Terminal {
  /** The rows of xterm.js's DOM renderer. */
  readonly lines: Locator;

  /** `name` is the terminal's, on a page that has several. */
  constructor(
    readonly page: Page,
    name?: string,
  ) {
    const place = name ? page.getByRole("group", { name: `Terminal ${name}`, exact: true }) : page;
    this.lines = place.locator(".xterm-rows > div");
  }

  /** The screen as text, without the blanks at the ends of lines. */
  async rows(): Promise<string[]> {
    const rows = await this.lines.allTextContents();
    return rows.map((row) => row.replaceAll("\u00a0", " ").trimEnd());
  }

  /** The rows that have something on them. */
  async text(): Promise<string[]> {
    return (await this.rows()).filter((row) => row !== "");
  }

  /** Waits until the shell asks for a command. */
  async ready(): Promise<void> {
    await expect.poll(async () => (await this.text()).at(-1) ?? "", { message: "a prompt" }).toMatch(/[#$]$/);
  }

  /**
   * Leaves nothing but a prompt. What is typed from then on comes after xterm.js's answer to busybox,
   * which asks for the cursor's place behind its prompt: an answer that a command's output meets is
   * echoed into it.
   */
  async clear(): Promise<void> {
    await this.enter("clear");
    await expect.poll(() => this.text(), { message: "a prompt alone" }).toEqual([expect.stringMatching(/[#$]$/)]);
  }

  /** Waits until a row of the screen is exactly this, or matches it. */
  async shows(row: string | RegExp): Promise<void> {
    const expected = typeof row === "string" ? [row] : [expect.stringMatching(row)];
    await expect.poll(() => this.rows(), { message: `the row ${row}` }).toEqual(expect.arrayContaining(expected));
  }

  /** Types a line as a person would, into whatever has the focus. */
  async enter(line: string): Promise<void> {
    await this.page.keyboard.type(line);
    await this.page.keyboard.press("Enter");
  }

  async connected(): Promise<void> {
    await expect(this.page.getByText("Connected", { exact: true }).last()).toBeVisible();
  }

  /** Columns and rows as they are drawn: what a line that never ends fills. */
  async size(): Promise<{ cols: number; rows: number }> {
    await this.enter("clear; printf %03000d 0; echo; echo drawn");
    await this.shows("drawn");
    const rows = await this.rows();
    const full = rows.filter((row) => /^0+$/.test(row));
    return { cols: Math.max(...full.map((row) => row.length)), rows: rows.length };
  }
}
