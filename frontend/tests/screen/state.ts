import "./unpooled";
import { UnicodeGraphemesAddon } from "@xterm/addon-unicode-graphemes";
import headless from "@xterm/headless";

/** Where the page's terminal keeps what no interface tells. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Core = any;

/** A terminal like the page's, without a page. */
export class Oracle {
  readonly #terminal: headless.Terminal;
  readonly #core: Core;
  readonly #colours: string[] = [];
  answers = "";

  constructor(cols: number, rows: number) {
    this.#terminal = new headless.Terminal({
      allowProposedApi: true,
      cols,
      rows,
      scrollback: 10_000,
      windowOptions: { pushTitle: true, popTitle: true, getWinSizeChars: true },
      logLevel: "off",
    });
    this.#terminal.loadAddon(new UnicodeGraphemesAddon());
    this.#core = (this.#terminal as Core)._core;
    this.#core._inputHandler.onColor((event: object[]) => {
      for (const colour of event) this.#colours.push(JSON.stringify(colour));
    });
    this.#terminal.onData((data) => (this.answers += data));
  }

  write(bytes: Uint8Array): void {
    this.#core.writeSync(bytes);
  }

  resize(cols: number, rows: number): void {
    this.#terminal.resize(cols, rows);
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  /** Everything that a program can have set, in lines to be compared. */
  state(): string[] {
    const core = this.#core;
    const input = core._inputHandler;
    const { normal, alt, active } = core._bufferService.buffers;
    const { charset, glevel, _charsets } = core._charsetService;
    const mouse = core.coreMouseService;
    const values = {
      cols: core.cols,
      rows: core.rows,
      alternate: active === alt,
      x: active.x,
      y: active.y,
      pen: this.#attributes(input._curAttrData),
      charset: name(charset),
      level: glevel,
      charsets: [0, 1, 2, 3].map((which) => name(_charsets[which])),
      modes: core.coreService.modes,
      private: core.coreService.decPrivateModes,
      hidden: core.coreService.isCursorHidden,
      returns: core.optionsService.rawOptions.convertEol,
      blink: core.optionsService.rawOptions.cursorBlink,
      mouse: [mouse.activeProtocol, mouse.activeEncoding],
      title: input._windowTitle,
      titles: input._windowTitleStack,
      icon: input._iconName,
      icons: input._iconNameStack,
      colours: colours(this.#colours),
    };
    const all = Object.entries(values).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
    return [
      ...all,
      ...this.#buffer("normal", normal),
      // Nobody sees what is in the other one: it is cleared before it is shown again.
      ...(active === alt ? this.#buffer("alternate", alt) : this.#places("alternate", alt)),
    ];
  }

  #places(called: string, buffer: Core): string[] {
    const { scrollTop, scrollBottom, savedX, savedY, savedCharset, savedCurAttrData } = buffer;
    const last = this.#core.rows - 1;
    const saved = [
      Math.min(savedX, this.#core.cols - 1),
      // Lines that have scrolled off are the first one.
      Math.min(Math.max(savedY - buffer.ybase, 0), last),
      name(savedCharset),
      this.#attributes(savedCurAttrData).replace(/link.*/, "link"),
    ];
    return [`${called} region ${scrollTop} ${scrollBottom}`, `${called} saved ${saved.join(" ")}`];
  }

  #buffer(called: string, buffer: Core): string[] {
    const stops = Object.keys(buffer.tabs)
      .map(Number)
      .filter((column) => buffer.tabs[column] && column < this.#core.cols)
      .join(" ");
    const lines: string[] = [];
    for (let y = 0; y < buffer.lines.length; y += 1) {
      const line = buffer.lines.get(y);
      const cells = [];
      for (let x = 0; x < this.#core.cols; x += 1) cells.push(this.#cell(line, x));
      while (cells.at(-1) === "") cells.pop();
      const wrapped = y > 0 && line.isWrapped ? "~" : " ";
      lines.push(`${called} ${y - buffer.ybase}${wrapped}${cells.join("|")}`);
    }
    return [...this.#places(called, buffer), `${called} tabs ${stops}`, ...lines];
  }

  #cell(line: Core, x: number): string {
    const cell = new (this.#core._bufferService.buffers.normal.getNullCell().constructor)();
    line.loadCell(x, cell);
    const look = this.#attributes(cell);
    const width = cell.getWidth();
    // Behind a wide character that has gone is nothing.
    if (width === 0 && (x === 0 || line.getWidth(x - 1) !== 2)) return "";
    // What is left of one has a look, but no character; a blank is the same to see.
    const isBlank = cell.getChars() === "" && width === 1 && /[A-Zful]/.test(look.replace(/bg\d+:\d+/, ""));
    const text = isBlank ? " " : cell.getChars();
    if (text === "" && width === 1 && look === "") return "";
    return `${text}${width === 1 ? "" : `<${width}>`}${look === "" ? "" : `{${look}}`}`;
  }

  #attributes(attributes: Core): string {
    const found: string[] = [];
    for (const is of ["Bold", "Dim", "Italic", "Blink", "Inverse", "Invisible", "Strikethrough", "Overline", "Protected"]) {
      if (attributes[`is${is}`]()) found.push(is);
    }
    if (!attributes.isFgDefault()) found.push(`fg${attributes.getFgColorMode()}:${attributes.getFgColor()}`);
    if (!attributes.isBgDefault()) found.push(`bg${attributes.getBgColorMode()}:${attributes.getBgColor()}`);
    if (attributes.isUnderline()) found.push(`underline${attributes.getUnderlineStyle()}`);
    if (attributes.isUnderline() && attributes.hasExtendedAttrs()) {
      found.push(`${attributes.getUnderlineColorMode()}:${attributes.getUnderlineColor()}`);
    }
    const link = attributes.hasExtendedAttrs() ? attributes.extended.urlId : 0;
    if (link) found.push(`link${this.#core._oscLinkService.getLinkData(link)?.uri ?? ""}`);
    return found.join(",");
  }
}

/** The values that colours have in the end. */
function colours(events: string[]): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const event of events) {
    const { type, index, color } = JSON.parse(event) as { type: number; index?: number; color?: number[] };
    if (type === 1) found[String(index)] = color;
    else if (type === 2 && index !== undefined) delete found[String(index)];
    else if (type === 2) for (const key of Object.keys(found)) if (Number(key) < 256) delete found[key];
  }
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => a.localeCompare(b)));
}

/** A character set, by some of what it has. */
function name(charset: Record<string, string> | undefined): string {
  return charset ? ["`", "[", "#", "{"].map((key) => charset[key] ?? "").join("") : "";
}
