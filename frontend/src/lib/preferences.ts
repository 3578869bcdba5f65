import { isFontFamily } from "./terminal/fonts";
import { DARK_SCHEMES, LIGHT_SCHEMES, type SchemeName } from "./terminal/schemes";

/** What a person has chosen in this browser, and what counts as a choice. */
export interface Preferences {
  /** Of the page; the terminal's colours follow whether it is light or dark. */
  theme: "system" | "light" | "dark";
  darkColours: SchemeName;
  lightColours: SchemeName;
  /** A family as in CSS, or nothing for whichever is there. */
  fontFamily: string;
  /** In pixels of the page. */
  fontSize: number;
  /** The height of a row, in heights of its text. */
  lineHeight: number;
  cursorShape: "block" | "bar" | "underline";
  cursorBlink: boolean;
  /** Lines that are kept above the screen. */
  scrollback: number;
  copyOnSelect: boolean;
  /** What a right click does: the browser's menu, a paste, or a copy of what is selected and else a paste. */
  rightClick: "menu" | "paste" | "copy-paste";
  /** Several lines are not pasted into a shell that would run them at once without a question. */
  askBeforePaste: boolean;
  /** What opens a link: a click with Ctrl or Cmd, or any. */
  openLinks: "modifier" | "click";
  images: boolean;
  /** Whether keys are shown before the program has shown them. */
  localEcho: "off" | "automatic" | "always";
  screenReader: boolean;
}

export type PreferenceName = keyof Preferences;

interface Preference<T> {
  usual: T;
  /** The value that was stored as this text, or nothing when it is not one. */
  read(stored: string): T | undefined;
}

/** The limits of the numbers, and the steps in which they are changed. */
export const RANGES = {
  fontSize: { least: 9, most: 28, step: 1 },
  lineHeight: { least: 1, most: 1.6, step: 0.1 },
  scrollback: { least: 0, most: 50_000, step: 1000 },
};

const oneOf =
  <T extends string>(...values: T[]) =>
  (stored: string) =>
    values.find((value) => value === stored);

const number =
  ({ least, most }: { least: number; most: number }, whole: boolean) =>
  (stored: string) => {
    const value = stored.trim() === "" ? Number.NaN : Number(stored);
    return value >= least && value <= most && (!whole || Number.isInteger(value)) ? value : undefined;
  };

const flag = (stored: string) => (stored === "true" ? true : stored === "false" ? false : undefined);

/** `calm`: the person has asked the system for less motion. */
export function preferences(calm: boolean): { [Name in PreferenceName]: Preference<Preferences[Name]> } {
  return {
    theme: { usual: "system", read: oneOf("system", "light", "dark") },
    darkColours: { usual: "shellport", read: oneOf(...DARK_SCHEMES) },
    lightColours: { usual: "shellport", read: oneOf(...LIGHT_SCHEMES) },
    fontFamily: { usual: "", read: (stored) => (stored === "" || isFontFamily(stored) ? stored : undefined) },
    fontSize: { usual: 14, read: number(RANGES.fontSize, true) },
    lineHeight: { usual: 1, read: number(RANGES.lineHeight, false) },
    cursorShape: { usual: "block", read: oneOf("block", "bar", "underline") },
    cursorBlink: { usual: !calm, read: flag },
    scrollback: { usual: 10_000, read: number(RANGES.scrollback, true) },
    copyOnSelect: { usual: false, read: flag },
    rightClick: { usual: "menu", read: oneOf("menu", "paste", "copy-paste") },
    askBeforePaste: { usual: true, read: flag },
    openLinks: { usual: "modifier", read: oneOf("modifier", "click") },
    images: { usual: true, read: flag },
    localEcho: { usual: "automatic", read: oneOf("off", "automatic", "always") },
    screenReader: { usual: false, read: flag },
  };
}
