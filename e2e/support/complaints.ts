import { expect, type BrowserContext } from "@playwright/test";

/**
 * What a page complains about: errors on its console, which a violation of the
 * content policy is too, and exceptions that nobody has caught.
 */
export class Complaints {
  #heard: string[] = [];
  #expected: RegExp[] = [];

  constructor(context: BrowserContext) {
    context.on("console", (message) => {
      if (message.type() === "error") this.#heard.push(`${message.text()} (${message.location().url})`);
    });
    context.on("weberror", (error) => this.#heard.push(String(error.error())));
  }

  /** This one belongs to the test. */
  expect(pattern: RegExp): void {
    this.#expected.push(pattern);
  }

  check(): void {
    const unexpected = this.#heard.filter((text) => !this.#expected.some((pattern) => pattern.test(text)));
    expect(unexpected, "errors on the console of the page").toEqual([]);
  }
}
