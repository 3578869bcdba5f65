/**
 * Generated streams after which a viewer who comes at the cut sees something else than the others, and why.
 * docs/protocol.md lists these kinds.
 */
export const known: Record<number, string> = {
  635: "the line of the saved cursor has scrolled off",
  3968: "the line of the saved cursor has scrolled off",
  673: "half of a wide character is left",
  5763: "half of a wide character is left",
  7511: "half of a wide character is left",
  9009: "half of a wide character is left",
  1953: "a restored cursor has hidden an attribute",
  3403: "a restored cursor has hidden an attribute",
  4246: "a restored cursor has hidden an attribute",
  9315: "a restored cursor has hidden an attribute",
  6712: "the cursor is behind a last column that is empty",
  7636: "the cursor is behind a last column that is empty",
  8533: "a tab stop is behind the last column",
  9670: "a tab stop is behind the last column",
  6376: "in origin mode, the cursor is outside of what scrolls",
  8421: "the cursor is behind a last column that is empty",
  3714: "the alignment pattern has half an underline",
};

/** The same for those with another size in the middle. */
export const knownResized: Record<number, string> = {
  199: "a narrower size hides columns of the alternate screen, which come back",
  2618: "a narrower size hides columns of the alternate screen, which come back",
  673: "half of a wide character is left",
  1582: "half of a wide character is left",
  1470: "a mark that is in no cell joins what comes",
  1031: "xterm.js counts lines that are not there, with the cursor above full lines",
  1259: "xterm.js counts lines that are not there, with the cursor above full lines",
  1778: "xterm.js counts lines that are not there, with the cursor above full lines",
  2263: "xterm.js counts lines that are not there, with the cursor above full lines",
};
