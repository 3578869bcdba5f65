import type { ISearchDecorationOptions } from "@xterm/addon-search";
import type { ITheme } from "@xterm/xterm";
import { schemes, type SchemeName } from "./schemes";

/** Programs that print white on the default background must stay readable in light. */
const LIGHT_CONTRAST = 4.5;

/** The colours of the terminal. The settings give the background to the style sheet, as `--terminal`. */
export function terminalColours(dark: boolean, scheme: SchemeName): { theme: ITheme; minimumContrastRatio: number } {
  const of = schemes(dark);
  const { theme } = of[scheme] ?? of.shellport!;
  return { theme, minimumContrastRatio: dark ? 1 : LIGHT_CONTRAST };
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
