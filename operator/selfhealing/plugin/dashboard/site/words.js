// The texts of the page in the reader's language: what the address asks for, else the browser's.

export const LANGUAGES = { en: ["en", "English"], zh: ["zh-CN", "中文"] };

const asked = new URLSearchParams(location.search).get("lang") ?? "";
const preferred = [asked, ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
export const code = preferred.find((tag) => tag in LANGUAGES) ?? "en";
export const [language] = LANGUAGES[code];
export const words = await (await fetch(`words/${code}.json`)).json();

export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

const UNITS = [["days", 86400], ["hours", 3600], ["minutes", 60]];

// A duration in the largest unit of which it has at least two, as kubectl writes it.
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [unit, size] of UNITS) {
    if (whole >= 2 * size) return fill(words[unit], { n: Math.floor(whole / size) });
  }
  return fill(words.seconds, { n: whole });
}

export function clock(at, withDay = false) {
  const day = withDay ? { month: "short", day: "numeric" } : {};
  const options = { ...day, hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  return new Date(at).toLocaleString(language, options);
}
