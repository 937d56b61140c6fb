import { expect, test } from "vitest";
import { rosette } from "./rosette";

const KEY = "3f9a1c77d2".repeat(7).slice(0, 64);

test("a key has one rosette, another key another one, and it keeps within its frame", () => {
  expect(rosette(KEY)).toEqual(rosette(KEY));
  expect(rosette(KEY)).not.toEqual(rosette(KEY.replace("3f", "40")));
  const numbers = rosette(KEY).flatMap((path) => path.match(/-?\d+\.\d/g) ?? []).map(Number);
  expect(numbers.length).toBeGreaterThan(1000);
  expect(Math.max(...numbers.map(Math.abs))).toBeLessThanOrEqual(100);
});
