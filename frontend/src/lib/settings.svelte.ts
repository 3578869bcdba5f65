/** What a person has chosen in this browser. */

export type ThemeChoice = "system" | "light" | "dark";

const THEME_KEY = "shellport.theme";
const FONT_SIZE_KEY = "shellport.fontSize";
const SCREEN_READER_KEY = "shellport.screenReader";

export const FONT_SIZES = { smallest: 9, usual: 14, largest: 28 };

const systemDark = matchMedia("(prefers-color-scheme: dark)");

class Settings {
  #theme = $state<ThemeChoice>("system");
  #systemDark = $state(systemDark.matches);
  #fontSize = $state(FONT_SIZES.usual);
  #screenReader = $state(false);

  constructor() {
    const theme = localStorage.getItem(THEME_KEY);
    if (theme === "light" || theme === "dark") this.#theme = theme;
    const size = Number(localStorage.getItem(FONT_SIZE_KEY));
    if (size >= FONT_SIZES.smallest && size <= FONT_SIZES.largest) this.#fontSize = size;
    this.#screenReader = localStorage.getItem(SCREEN_READER_KEY) === "true";
    systemDark.addEventListener("change", () => (this.#systemDark = systemDark.matches));
    this.#apply();
  }

  get theme(): ThemeChoice {
    return this.#theme;
  }

  set theme(theme: ThemeChoice) {
    this.#theme = theme;
    localStorage.setItem(THEME_KEY, theme);
    this.#apply();
  }

  /** Whether the page is dark now, whoever decided that. */
  get dark(): boolean {
    return this.#theme === "system" ? this.#systemDark : this.#theme === "dark";
  }

  get fontSize(): number {
    return this.#fontSize;
  }

  set fontSize(size: number) {
    this.#fontSize = Math.min(FONT_SIZES.largest, Math.max(FONT_SIZES.smallest, size));
    localStorage.setItem(FONT_SIZE_KEY, String(this.#fontSize));
  }

  get screenReader(): boolean {
    return this.#screenReader;
  }

  set screenReader(on: boolean) {
    this.#screenReader = on;
    localStorage.setItem(SCREEN_READER_KEY, String(on));
  }

  /** The style sheet follows the system by itself, and this attribute before it. */
  #apply(): void {
    if (this.#theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.#theme;
  }
}

export const settings = new Settings();
