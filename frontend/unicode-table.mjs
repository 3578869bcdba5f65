// Writes the screen's table of characters' widths from the add-on that the page uses, so that both agree:
//   node unicode-table.mjs >../backend/screen/src/unicode_table.rs

// The add-on reads its table from where a buffer begins, which for a small one of Node's is not its own.
Buffer.poolSize = 0;
const { UnicodeGraphemesAddon } = await import("@xterm/addon-unicode-graphemes");

let provider;
const unicode = {
  activeVersion: "6",
  register(given) {
    if (given.handleGraphemes) provider = given;
  },
};
new UnicodeGraphemesAddon().activate({ unicode });

// Behind nothing, a character's own properties are above the lowest three bits.
const properties = (code) => (provider.charProperties(code, 0) >> 3) & 0x3f;

const runs = [];
for (let code = 0, last = 0; code <= 0x10ffff; code += 1) {
  // The first one is the same for all of ASCII, with a short cut of its own.
  const found = code < 0x7f ? 0 : properties(code);
  if (found !== last) runs.push([code, found]);
  last = found;
}
console.log("//! Written by frontend/unicode-table.mjs from @xterm/addon-unicode-graphemes; see there.\n");
console.log("/// From which character on, how they break lines of cells, and how wide they are.");
console.log(`pub static RUNS: [(u32, u8); ${runs.length}] = [`);
const hex = (code) => code.toString(16).padStart(code > 0xffff ? 8 : 4, "0").replace(/(....)$/, code > 0xffff ? "_$1" : "$1");
for (const [code, found] of runs) console.log(`    (0x${hex(code)}, ${found}),`);
console.log("];");
