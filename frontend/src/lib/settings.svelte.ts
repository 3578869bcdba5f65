import { preferences, type PreferenceName, type Preferences } from "./preferences";
import { schemes } from "./terminal/schemes";

export type ThemeChoice = Preferences["theme"];

const PREFIX = "shellport.";

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const known = preferences(matchMedia("(prefers-reduced-motion: reduce)").matches);
const names = Object.keys(known) as PreferenceName[];

/** What was stored, or what is usual when that is nothing or not valid. */
function stored<Name extends PreferenceName>(name: Name): Preferences[Name] {
  const text = localStorage.getItem(PREFIX + name);
  const value = text === null ? undefined : known[name].read(text);
  return value === undefined ? known[name].usual : value;
}

/** What a person has chosen in this browser, the same in all of its tabs. */
class Settings {
  readonly #chosen = $state(Object.fromEntries(names.map((name) => [name, stored(name)])) as unknown as Preferences);
  #systemDark = $state(systemDark.matches);

  constructor() {
    systemDark.addEventListener("change", () => {
      this.#systemDark = systemDark.matches;
      this.#apply();
    });
    // Another tab has stored something, or, without a key, removed everything.
    addEventListener("storage", ({ key, storageArea }) => {
      if (storageArea !== localStorage) return;
      for (const name of names) if (key === null || key === PREFIX + name) this.#set(name, stored(name));
    });
    this.#apply();
  }

  get chosen(): Readonly<Preferences> {
    return this.#chosen;
  }

  /** Takes this on and remembers it, unless it is not valid. */
  choose<Name extends PreferenceName>(name: Name, value: Preferences[Name]): void {
    const text = String(value);
    const valid = known[name].read(text);
    if (valid === undefined) return;
    localStorage.setItem(PREFIX + name, text);
    this.#set(name, valid);
  }

  /** Forgets every choice. */
  reset(): void {
    for (const name of names) {
      localStorage.removeItem(PREFIX + name);
      this.#set(name, known[name].usual);
    }
  }

  /** Whether the page is dark now, whoever decided that. */
  get dark(): boolean {
    return this.chosen.theme === "system" ? this.#systemDark : this.chosen.theme === "dark";
  }

  #set<Name extends PreferenceName>(name: Name, value: Preferences[Name]): void {
    this.#chosen[name] = value;
    this.#apply();
  }

  /** The style sheet follows the system by itself, and this attribute before it. */
  #apply(): void {
    const { dataset, style } = document.documentElement;
    const { theme, darkColours, lightColours } = this.chosen;
    if (theme === "system") delete dataset.theme;
    else dataset.theme = theme;
    const { background } = schemes(this.dark)[this.dark ? darkColours : lightColours]!.theme;
    style.setProperty("--terminal", background!);
  }
}

export const settings = new Settings();
