import type { ISearchDecorationOptions } from "@xterm/addon-search";
import type { ITheme } from "@xterm/xterm";

const DARK: ITheme = {
  background: "#0d1014",
  foreground: "#d8dee7",
  cursor: "#8fb6ff",
  cursorAccent: "#0d1014",
  selectionBackground: "#2f4a7d",
  selectionInactiveBackground: "#2a3f66",
  black: "#414a58",
  red: "#ff7a72",
  green: "#62d196",
  yellow: "#e5bd5c",
  blue: "#7aabff",
  magenta: "#d09dff",
  cyan: "#55cfd6",
  white: "#c6cdd7",
  brightBlack: "#8691a1",
  brightRed: "#ffa49d",
  brightGreen: "#8ae4b2",
  brightYellow: "#f5d481",
  brightBlue: "#a7c8ff",
  brightMagenta: "#e2c4ff",
  brightCyan: "#8ae6eb",
  brightWhite: "#ffffff",
  scrollbarSliderBackground: "#ffffff26",
  scrollbarSliderHoverBackground: "#ffffff40",
  scrollbarSliderActiveBackground: "#ffffff59",
};

const LIGHT: ITheme = {
  background: "#fcfcfd",
  foreground: "#22272e",
  cursor: "#2a5bd7",
  cursorAccent: "#fcfcfd",
  selectionBackground: "#bcd3fb",
  selectionInactiveBackground: "#d3e0f7",
  black: "#22272e",
  red: "#bf2330",
  green: "#17753c",
  yellow: "#855a00",
  blue: "#1d5bcc",
  magenta: "#8839bd",
  cyan: "#0a6c7e",
  white: "#c9d0d9",
  brightBlack: "#5c6673",
  brightRed: "#a60f1e",
  brightGreen: "#0d632f",
  brightYellow: "#6f4a00",
  brightBlue: "#134bb1",
  brightMagenta: "#742ba8",
  brightCyan: "#065a69",
  brightWhite: "#eef1f4",
  scrollbarSliderBackground: "#0000001f",
  scrollbarSliderHoverBackground: "#00000038",
  scrollbarSliderActiveBackground: "#0000004d",
};

/** Programs that print white on the default background must stay readable in light. */
const LIGHT_CONTRAST = 4.5;

/** The colours of the terminal. The backgrounds equal `--terminal` of the style sheet. */
export function terminalColours(dark: boolean): { theme: ITheme; minimumContrastRatio: number } {
  return dark
    ? { theme: DARK, minimumContrastRatio: 1 }
    : { theme: LIGHT, minimumContrastRatio: LIGHT_CONTRAST };
}

/** How matches of a search are marked. */
export function searchColours(dark: boolean): ISearchDecorationOptions {
  return dark
    ? {
        matchBackground: "#5a4a16",
        matchOverviewRuler: "#8a7120",
        activeMatchBackground: "#a07a10",
        activeMatchBorder: "#f5d481",
        activeMatchColorOverviewRuler: "#f5d481",
      }
    : {
        matchBackground: "#fbe7a1",
        matchOverviewRuler: "#d8b23c",
        activeMatchBackground: "#f6c945",
        activeMatchBorder: "#855a00",
        activeMatchColorOverviewRuler: "#855a00",
      };
}
