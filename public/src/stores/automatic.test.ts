import { beforeEach, expect, test, vi } from "vitest";
import { ApiProblem, NoAnswer } from "../api/problem";
import type { PendingRequest } from "../api/types";
import { VaultError } from "../vault/types";

let waiting: Pick<PendingRequest, "request" | "waits_for">[] = [];
let refusals: Record<string, Error> = {};
let here: string[] = [];
/** What others have to contribute to as well. */
let turns: string[] = [];
const given: string[] = [];
const unlocked = vi.fn(async () => undefined);

vi.mock("../api/client", () => ({
  api: { GET: async () => undefined },
  call: async () => ({ requests: waiting }),
}));
vi.mock("../lib/contributor", () => ({
  unasked: {
    give: async (group: string, { request }: PendingRequest) => {
      given.push(`${group} ${request}`);
      const refusal = refusals[request];
      if (refusal) throw refusal;
      if (turns.includes(request)) return "waiting";
      waiting = waiting.filter((it) => it.request !== request);
      return "answered";
    },
  },
}));
vi.mock("../lib/shares", () => ({ shares: { has: async (group: string) => here.includes(group) } }));
vi.mock("../lib/signing", () => ({ unlocked: () => unlocked() }));
vi.mock("../vault", () => ({ VaultError }));
vi.mock("./identities.svelte", () => ({ identities: { list: [{ group: "g1" }] } }));

const { automatic } = await import("./automatic.svelte");
const allowed = (request: string) => ({ request, waits_for: ["device" as const] });

beforeEach(() => {
  automatic.switchOff();
  given.length = 0;
  unlocked.mockReset();
  [waiting, refusals, here, turns] = [[allowed("r1")], {}, ["g1"], []];
});

test("nothing is answered while it is off, or before it is unlocked", async () => {
  await automatic.run();
  unlocked.mockRejectedValueOnce(new Error("closed"));
  await expect(automatic.switchOn()).rejects.toThrow("closed");
  await automatic.run();
  expect([automatic.on, given]).toEqual([false, []]);
});

test("what the rules allow is answered, and nothing that they ask about", async () => {
  waiting.push({ request: "r2", waits_for: ["approval", "device"] }, { request: "r3", waits_for: ["approval"] }, allowed("r4"));
  await automatic.switchOn();
  expect(given).toEqual(["g1 r1", "g1 r4"]);
  expect(automatic.answered).toBe(2);
});

test("what others have to contribute to as well is not counted as answered", async () => {
  turns = ["r1"];
  await automatic.switchOn();
  expect([given, automatic.answered]).toEqual([["g1 r1"], 0]);
});

test("where this browser has no share it does nothing", async () => {
  here = [];
  await automatic.switchOn();
  expect(given).toEqual([]);
});

test("what was refused is left to the person, and the rest goes on", async () => {
  waiting.push(allowed("r2"));
  refusals = { r1: new VaultError("request_misled", "Another one was offered.") };
  await automatic.switchOn();
  await automatic.run();
  expect(given).toEqual(["g1 r1", "g1 r2"]);
  expect(automatic.on).toBe(true);
});

test("what got no answer is tried again at the next hint", async () => {
  refusals = { r1: new NoAnswer() };
  await automatic.switchOn();
  refusals = {};
  await automatic.run();
  expect(given).toEqual(["g1 r1", "g1 r1"]);
  expect(automatic.answered).toBe(1);
});

test("what was answered elsewhere meanwhile is no trouble", async () => {
  refusals = { r1: new ApiProblem(404, "no_such_request", "gone") };
  await automatic.switchOn();
  expect([automatic.on, automatic.answered, automatic.error]).toEqual([true, 0, null]);
});

test("a vault that was locked switches it off, and says so", async () => {
  refusals = { r1: new VaultError("locked", "Locked.") };
  await automatic.switchOn();
  expect([automatic.on, automatic.error]).toEqual([false, refusals["r1"]]);
});
