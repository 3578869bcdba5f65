import type { IDisposable, Terminal } from "@xterm/xterm";

// A program must not be able to fill the memory of the page.
const OPTIONS = {
  enableSizeReports: false,
  /** Of one image: 2048 by 2048. */
  pixelLimit: 4_194_304,
  /** Of all images of a terminal, in MB; the oldest make room. */
  storageLimit: 32,
  sixelSizeLimit: 8_000_000,
  iipSizeLimit: 8_000_000,
};

/** The add-on counts pixels; an image of one takes more memory than its pixel. */
const MOST_IMAGES = 1000;

/**
 * Images in the output (sixel and iTerm's), drawn by an add-on that is fetched
 * when a terminal wants it.
 */
export class Images {
  #wanted = false;
  #loaded: IDisposable | null = null;

  constructor(private readonly terminal: Terminal) {}

  want(on: boolean): void {
    if (this.#wanted === on) return;
    this.#wanted = on;
    if (on) void this.#load();
    else this.dispose();
  }

  dispose(): void {
    this.#wanted = false;
    this.#loaded?.dispose();
    this.#loaded = null;
  }

  async #load(): Promise<void> {
    // Without a connection there are no images, and everything else goes on.
    const fetched = await import("@xterm/addon-image").catch(() => null);
    if (!fetched || !this.#wanted || this.#loaded) return;
    const addon = new fetched.ImageAddon(OPTIONS);
    this.terminal.loadAddon(addon);
    let count = 0;
    const counted = () => {
      count += 1;
      if (count > MOST_IMAGES) {
        addon.reset();
        count = 1;
      }
      return false;
    };
    // Asked before the add-on's own, which come first.
    const handlers = [
      this.terminal.parser.registerDcsHandler({ final: "q" }, counted),
      this.terminal.parser.registerOscHandler(1337, (data) => data.startsWith("File=") && counted()),
    ];
    this.#loaded = {
      dispose() {
        for (const handler of handlers) handler.dispose();
        addon.dispose();
      },
    };
  }
}
