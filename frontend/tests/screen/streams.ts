/** Random numbers that are the same each time (mulberry32). */
export class Random {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let value = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

const words = ["hello", "a", "the quick brown fox", "x".repeat(30), " ", "   ", "ab cd", "0123456789", "#[]{}|~"];
const others = ["größe", "漢字", "日本語テキスト", "e\u0301", "🎉", "👩\u200d🚀", "🇩🇪", "한국", "─│┌", "❤\ufe0f", "\u0301", "ｱ", "नमस्ते"];

/** One piece of output of the kind that programs write. */
export function piece(random: Random, cols: number, rows: number): string {
  const n = (limit: number) => String(random.below(limit) + 1);
  const maybe = () => random.pick(["", "", "0", "1", "2", n(cols)]);
  const csi = (text: string) => `\x1b[${text}`;
  const colour = () => random.pick([`5;${random.below(256)}`, `2;${random.below(256)};${random.below(256)};9`]);
  const kinds: (() => string)[] = [
    () => random.pick(words),
    () => random.pick(words),
    () => random.pick(others),
    () => random.pick(["\r\n", "\r\n", "\n", "\r", "\b", "\t", "\x0b", "\x07"]),
    () => csi(`${n(rows)};${n(cols)}H`),
    () => csi(random.pick(["A", "B", "C", "D", "E", "F", "G", "d", "a", "e", "`"].map((last) => `${maybe()}${last}`))),
    () => csi(random.pick(["", "0", "2"]) + random.pick(["J", "K"])),
    () => csi("1K"),
    () => csi(`${maybe()}${random.pick(["L", "M", "P", "@", "X", "S", "T", "I", "Z", "b"])}`),
    () => csi(`${random.pick(["0", "1", "2", "3", "4", "5", "7", "8", "9", "21", "22", "24", "27", "53", "4:3", "4:5", "31", "44", "97", "102", "39", "49", "1;32", "58:5:9", "58:2::1:2:3", "59"])}m`),
    () => csi(`${random.pick(["38", "48"])};${colour()}m`),
    () => csi(random.pick(["m", "0m"])),
    () => csi(`?${random.pick(["1", "6", "7", "12", "25", "45", "66", "9", "1000", "1002", "1003", "1004", "1006", "1016", "2004", "2026"])}${random.pick(["h", "l"])}`),
    () => csi(random.pick(["4h", "4l", "20h", "20l", "4l", "20l"])),
    () => csi(`?${random.pick(["47", "1047", "1049", "1048"])}${random.pick(["h", "l"])}`),
    () => random.pick(["\x1b7", "\x1b8", csi("s"), csi("u")]),
    () => random.pick(["\x1bD", "\x1bE", "\x1bM", "\x1bH", csi("g"), csi("3g")]),
    () => {
      const top = random.below(rows) + 1;
      return csi(random.pick(["r", `${top};${Math.min(rows, top + random.below(rows) + 1)}r`]));
    },
    () => random.pick(["\x1b(0", "\x1b(B", "\x1b)0", "\x1b*A", "\x1b+K", "\x0e", "\x0f", "\x1bn", "\x1bo"]),
    () => random.pick(["\x1b]2;title\x07", "\x1b]0;other\x1b\\", csi("22;0t"), csi("23;0t"), csi("22;2t"), "\x1b]1;icon\x07"]),
    () => random.pick(["\x1b]8;;http://a\x1b\\", "\x1b]8;id=1;http://b\x07", "\x1b]8;;\x07"]),
    () => random.pick(["\x1b]4;1;rgb:ff/00/10\x07", "\x1b]10;#123456\x07", "\x1b]104\x07", "\x1b]111\x07", "\x1b]11;rgb:1/2/3\x07"]),
    () => random.pick([csi("0 q"), csi("3 q"), csi("6 q"), csi('1"q'), csi('0"q'), csi("?0J"), csi("?2K")]),
    () => random.pick([csi("!p"), "\x1bc", "\x1b[m\x1b#8", "\x1b=", "\x1b>"].concat(Array<string>(12).fill("text"))),
    () => random.pick([csi("2 @"), csi("2 A"), csi("2'}"), csi("2'~")]),
    () => random.pick([csi("c"), csi("6n"), csi("?1$p"), "\x1bP$qr\x1b\\", "\x1b]7;file://h/d\x07", "\x1b]133;A\x07", csi(">1u"), csi("18t")]),
  ];
  return random.pick(kinds)();
}
