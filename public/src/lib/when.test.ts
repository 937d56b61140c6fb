import { describe, expect, test } from "vitest";
import {
  ago,
  countdown,
  dateField,
  duration,
  endOfDay,
  EXPIRIES,
  expiryFrom,
  learnTime,
  nowSeconds,
  spokenThreshold,
  until,
} from "./when";

const noon = Math.floor(new Date(2026, 4, 20, 12, 0, 0).getTime() / 1000);

describe("times as people say them", () => {
  test("the past", () => {
    expect(ago(noon, noon)).toBe("just now");
    expect(ago(noon + 20, noon)).toBe("just now");
    expect(ago(noon - 60, noon)).toBe("1 minute ago");
    expect(ago(noon - 3 * 3600, noon)).toBe("3 hours ago");
    expect(ago(noon - 20 * 3600, noon)).toMatch(/^yesterday at /);
    expect(ago(noon - 3 * 86400, noon)).toBe("3 days ago");
    expect(ago(noon - 40 * 86400, noon)).toMatch(/2026/);
  });

  test("the future", () => {
    expect(until(noon + 600, noon)).toBe("in 10 minutes");
    expect(until(noon + 86400, noon)).toMatch(/^tomorrow at /);
    expect(until(noon + 30 * 86400, noon)).toMatch(/^on .*2026/);
    expect(until(noon - 1, noon)).toBe("now");
  });

  test("lengths", () => {
    expect(duration(1)).toBe("1 second");
    expect(duration(90)).toBe("2 minutes");
    expect(duration(48 * 3600)).toBe("2 days");
    expect(countdown(245.9)).toBe("4:05");
    expect(countdown(-3)).toBe("0:00");
    expect(countdown(3700)).toBe("1:01:40");
  });

  test("a running clock is spoken a few times, not every second", () => {
    expect(spokenThreshold(600)).toBeNull();
    expect(spokenThreshold(299)).toBe(300);
    expect(spokenThreshold(120)).toBe(120);
    expect(spokenThreshold(61)).toBe(120);
    expect(spokenThreshold(9)).toBe(10);
    expect(spokenThreshold(0)).toBe(0);
    const heard = new Set(Array.from({ length: 601 }, (_, s) => spokenThreshold(s)));
    expect(heard.size).toBe(7);
  });

  test("a device whose clock is wrong goes by the server's", () => {
    const here = Math.floor(Date.now() / 1000);
    learnTime(new Date((here + 900) * 1000).toUTCString());
    expect(Math.abs(nowSeconds() - here - 900)).toBeLessThanOrEqual(2);
    learnTime(null);
    learnTime("nonsense");
    expect(nowSeconds()).toBeGreaterThan(here + 800);
    learnTime(new Date((here + 2) * 1000).toUTCString());
    expect(Math.abs(nowSeconds() - here)).toBeLessThanOrEqual(1);
  });

  test("expiries", () => {
    expect(expiryFrom("never", noon)).toBeNull();
    expect(expiryFrom("day", noon)).toBe(noon + 86400);
    expect(new Set(EXPIRIES.map((it) => it.id)).size).toBe(EXPIRIES.length);
    expect(endOfDay("2026-05-20")).toBe(noon + 12 * 3600 - 1);
    expect(endOfDay("soon")).toBeNull();
    expect(dateField(noon)).toBe("2026-05-20");
  });
});
