/** Times as people say them. Everything here is in Unix seconds. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How far this device's clock is behind the server's. */
let behind_s = 0;

/** Below this it is the time that an answer took. */
const SKEW_WORTH_S = 5;

/** Learns the server's time from the `Date` of an answer: a device whose clock is wrong still counts down rightly. */
export function learnTime(date: string | null): void {
  const at = Date.parse(date ?? "");
  if (Number.isNaN(at)) return;
  const behind = Math.round((at - Date.now()) / 1000);
  behind_s = Math.abs(behind) < SKEW_WORTH_S ? 0 : behind;
}

/** The time in Unix seconds, by the server's clock as far as it is known. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000) + behind_s;
}

function count(n: number, unit: string): string {
  return `${n} ${unit}${n === 1 ? "" : "s"}`;
}

/** "3 minutes", "2 hours", "5 days": the largest unit that fits. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < MINUTE) return count(s, "second");
  if (s < HOUR) return count(Math.round(s / MINUTE), "minute");
  if (s < DAY) return count(Math.round(s / HOUR), "hour");
  return count(Math.round(s / DAY), "day");
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "long",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** The whole date and time in this device's zone and language. */
export function exactly(at: number): string {
  return full.format(at * 1000);
}

export function dateOnly(at: number): string {
  return day.format(at * 1000);
}

/** "just now", "3 minutes ago", "yesterday at 14:05", then the date. Clocks differ: a little ahead is "just now". */
export function ago(at: number, now = nowSeconds()): string {
  const passed = now - at;
  if (passed < -2 * MINUTE) return until(at, now);
  if (passed < 45) return "just now";
  if (passed < 12 * HOUR) return `${duration(passed)} ago`;
  const days = calendarDays(at, now);
  if (days === 0) return `today at ${clock.format(at * 1000)}`;
  if (days === 1) return `yesterday at ${clock.format(at * 1000)}`;
  if (days < 7) return `${count(days, "day")} ago`;
  return dateOnly(at);
}

/** "in 5 minutes", "tomorrow at 14:05", then the date. */
export function until(at: number, now = nowSeconds()): string {
  const left = at - now;
  if (left <= 0) return "now";
  if (left < 12 * HOUR) return `in ${duration(left)}`;
  const days = calendarDays(now, at);
  if (days === 0) return `today at ${clock.format(at * 1000)}`;
  if (days === 1) return `tomorrow at ${clock.format(at * 1000)}`;
  if (days < 7) return `in ${count(days, "day")}`;
  return `on ${dateOnly(at)}`;
}

function calendarDays(from: number, to: number): number {
  const midnight = (at: number) => {
    const date = new Date(at * 1000);
    return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  };
  return Math.round((midnight(to) - midnight(from)) / (DAY * 1000));
}

/** "4:05" for a clock that runs down; hours when there are any. */
export function countdown(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor((s % HOUR) / MINUTE);
  return s >= HOUR
    ? `${Math.floor(s / HOUR)}:${two(minutes)}:${two(s % MINUTE)}`
    : `${minutes}:${two(s % MINUTE)}`;
}

const SPOKEN = [5 * MINUTE, 2 * MINUTE, MINUTE, 30, 10, 0];

/** The threshold last passed, so that a screen reader hears a few words and not every second. */
export function spokenThreshold(seconds: number): number | null {
  const passed = SPOKEN.filter((threshold) => seconds <= threshold);
  return passed.at(-1) ?? null;
}

/** How long a permission may last. */
export type Expiry = { readonly id: string; readonly words: string; readonly seconds: number | null };

export const EXPIRIES: readonly Expiry[] = [
  { id: "never", words: "until I revoke it", seconds: null },
  { id: "hour", words: "1 hour", seconds: HOUR },
  { id: "day", words: "1 day", seconds: DAY },
  { id: "week", words: "7 days", seconds: 7 * DAY },
  { id: "month", words: "30 days", seconds: 30 * DAY },
  { id: "quarter", words: "90 days", seconds: 90 * DAY },
  { id: "year", words: "1 year", seconds: 365 * DAY },
];

export function expiryFrom(id: string, now = nowSeconds()): number | null {
  const seconds = EXPIRIES.find((it) => it.id === id)?.seconds ?? null;
  return seconds === null ? null : now + seconds;
}

/** The end of a day picked in a date field, in this device's zone. */
export function endOfDay(date: string): number | null {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date);
  if (!match) return null;
  const at = new Date(Number(match[1]), Number(match[2]) - 1, Number(match[3]), 23, 59, 59).getTime();
  return Number.isNaN(at) ? null : Math.floor(at / 1000);
}

/** A date as a date field takes it. */
export function dateField(at: number): string {
  const date = new Date(at * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
