const UNITS: [string, number][] = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
];

/** How long ago that was, in one unit: `just now`, `5 min`, `3 h`, `2 d`. */
export function formatAge(since: string, now: number): string {
  const seconds = Math.floor((now - Date.parse(since)) / 1000);
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? `${Math.floor(seconds / unit[1])} ${unit[0]}` : "just now";
}
