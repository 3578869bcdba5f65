// Device attributes, status, cursor position, window size and mode reports (CSI
// … c n R t y), what graphics there are (CSI ? … S), focus reports (CSI I, CSI O),
// and answers in OSC, DCS or APC.
const REPORT = /^\x1b(?:\[[?>=]?[\d;]*\$?[cnRty]|\[\?[\d;]*S|\[[IO]|[\]P_])/;

/**
 * Whether the terminal itself says this to the program, rather than a person.
 * xterm.js does not tell the two apart. One key looks like a report (F3 with a
 * modifier, `CSI 1;2R`), so ask only where losing that key does no harm.
 */
export function isReport(data: string): boolean {
  return REPORT.test(data);
}
