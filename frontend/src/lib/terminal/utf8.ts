/**
 * How many bytes at the end of `bytes` are a character of UTF-8 that has only begun.
 *
 * xterm.js loses some characters that come to it in two parts, dashes and quotation marks among them: it
 * takes a first part whose last bits are all zero for none.
 */
export function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? back : 0;
    }
  }
  return 0;
}
