import type { ITheme } from "@xterm/xterm";

export type SchemeName = "shellport" | "harbour" | "ember" | "paper" | "contrast";

/** Colours that belong together. */
export interface Scheme {
  label: string;
  theme: ITheme;
}

/** Black, red, green, yellow, blue, magenta, cyan and white, separated by blanks. */
interface Parts {
  background: string;
  foreground: string;
  cursor: string;
  selection: string;
  /** The selection while the terminal is not the one that is typed into. */
  selectionInactive: string;
  usual: string;
  bright: string;
}

const DARK_SLIDER = { scrollbarSliderBackground: "#ffffff26", scrollbarSliderHoverBackground: "#ffffff40", scrollbarSliderActiveBackground: "#ffffff59" };
const LIGHT_SLIDER = { scrollbarSliderBackground: "#0000001f", scrollbarSliderHoverBackground: "#00000038", scrollbarSliderActiveBackground: "#0000004d" };

const DARK: Partial<Record<SchemeName, Scheme>> = {
  shellport: scheme("Shellport", DARK_SLIDER, {
    background: "#0d1014",
    foreground: "#d8dee7",
    cursor: "#8fb6ff",
    selection: "#2f4a7d",
    selectionInactive: "#2a3f66",
    usual: "#414a58 #ff7a72 #62d196 #e5bd5c #7aabff #d09dff #55cfd6 #c6cdd7",
    bright: "#8691a1 #ffa49d #8ae4b2 #f5d481 #a7c8ff #e2c4ff #8ae6eb #ffffff",
  }),
  harbour: scheme("Harbour", DARK_SLIDER, {
    background: "#1a2230",
    foreground: "#d7dfeb",
    cursor: "#9cc3e6",
    selection: "#3a4f70",
    selectionInactive: "#334462",
    usual: "#4b5870 #ec8f96 #a9cf95 #e8cb8c #8fb4e3 #cda6d8 #8ecad1 #cdd6e3",
    bright: "#8f9cb3 #f4abb1 #c0e0ae #f3dca8 #aeccf2 #dfc0e7 #abdfe4 #f3f7fc",
  }),
  ember: scheme("Ember", DARK_SLIDER, {
    background: "#221d1a",
    foreground: "#ecdfc9",
    cursor: "#f0b45c",
    selection: "#5c4632",
    selectionInactive: "#4d3c2d",
    usual: "#5c5147 #f58a72 #b9c66b #f0bd57 #93b8c4 #dd9db4 #97c9a2 #dccfb8",
    bright: "#a3947f #ffa992 #d0dc86 #ffd47e #b0d0da #efb9cb #b3dfbc #fff6e4",
  }),
  contrast: scheme("High contrast", DARK_SLIDER, {
    background: "#000000",
    foreground: "#ffffff",
    cursor: "#ffff66",
    selection: "#1f4fb0",
    selectionInactive: "#1a3f8a",
    usual: "#5e5e5e #ff8080 #5fe37f #ffe14d #8db8ff #f0a0ff #4fe3ea #e6e6e6",
    bright: "#a6a6a6 #ffb0b0 #9bf2b0 #fff08c #b8d3ff #f7c8ff #97f2f6 #ffffff",
  }),
};

const LIGHT: Partial<Record<SchemeName, Scheme>> = {
  shellport: scheme("Shellport", LIGHT_SLIDER, {
    background: "#fcfcfd",
    foreground: "#22272e",
    cursor: "#2a5bd7",
    selection: "#bcd3fb",
    selectionInactive: "#d3e0f7",
    usual: "#22272e #bf2330 #17753c #855a00 #1d5bcc #8839bd #0a6c7e #c9d0d9",
    bright: "#5c6673 #a60f1e #0d632f #6f4a00 #134bb1 #742ba8 #065a69 #eef1f4",
  }),
  paper: scheme("Paper", LIGHT_SLIDER, {
    background: "#f6f0e2",
    foreground: "#393127",
    cursor: "#a04a12",
    selection: "#e3d2ac",
    selectionInactive: "#e9dec4",
    usual: "#393127 #a8322a #4b6a1c #835500 #2b5f93 #8a3f78 #1f6a66 #d3c8b0",
    bright: "#6a5f50 #8f241d #3c5812 #6d4600 #204e7c #743265 #135753 #e9e0cb",
  }),
  contrast: scheme("High contrast", LIGHT_SLIDER, {
    background: "#ffffff",
    foreground: "#000000",
    cursor: "#0000cc",
    selection: "#a8c8ff",
    selectionInactive: "#cfe0ff",
    usual: "#000000 #a80000 #005c1f #6b4700 #0036b3 #7a009c #005566 #bfbfbf",
    bright: "#4d4d4d #8f0000 #004d19 #593b00 #002b8f #650082 #004755 #e6e6e6",
  }),
};

export const DARK_SCHEMES = Object.keys(DARK) as SchemeName[];
export const LIGHT_SCHEMES = Object.keys(LIGHT) as SchemeName[];

/** The schemes to choose from. */
export function schemes(dark: boolean): Partial<Record<SchemeName, Scheme>> {
  return dark ? DARK : LIGHT;
}

function scheme(label: string, slider: ITheme, parts: Parts): Scheme {
  const [black, red, green, yellow, blue, magenta, cyan, white] = parts.usual.split(" ");
  const [brightBlack, brightRed, brightGreen, brightYellow, brightBlue, brightMagenta, brightCyan, brightWhite] =
    parts.bright.split(" ");
  const theme: ITheme = {
    background: parts.background,
    foreground: parts.foreground,
    cursor: parts.cursor,
    cursorAccent: parts.background,
    selectionBackground: parts.selection,
    selectionInactiveBackground: parts.selectionInactive,
    ...{ black, red, green, yellow, blue, magenta, cyan, white },
    ...{ brightBlack, brightRed, brightGreen, brightYellow, brightBlue, brightMagenta, brightCyan, brightWhite },
    ...slider,
  };
  return { label, theme };
}
