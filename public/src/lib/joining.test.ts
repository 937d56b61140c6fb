import { describe, expect, test, vi } from "vitest";
import { ApiProblem } from "../api/problem";
import type { CeremonyParticipant, GroupPublic } from "../vault/types";
import { Offers, type OfferView, waitsFor } from "./joining";

const OWNER = "0a";
const PRESENT: GroupPublic = {
  group: "aa",
  epoch: 3,
  threshold: 2,
  pubkey: "p",
  holders: [
    { index: 1, role: "bunker", verifying_share: "b" },
    { index: 2, role: "device", verifying_share: "d" },
    { index: 3, role: "recovery", verifying_share: "r" },
  ],
};
const device = (number: number, receives: number | null, joined: boolean, owner = OWNER): CeremonyParticipant => ({
  number,
  role: "device",
  owner,
  joined,
  receives,
});

function renewal(participants: CeremonyParticipant[], facts: Partial<OfferView> = {}): OfferView {
  const base = { kind: "reshare", status: "joining", group: "aa", present: PRESENT, due_at: 0 };
  return { operation_id: "c1", ...base, participants, ...facts };
}

const fresh = { owner: OWNER, has: null };
const holder = { owner: OWNER, has: 2 };
/** Device 2 has begun it, and one more is to join. */
const adds = renewal([device(2, 2, true), device(4, 4, false)]);
/** Another device has begun it, and device 2 is to take part. */
const takesPart = renewal([device(2, 2, false), device(4, 4, true)], {
  present: { ...PRESENT, holders: [...PRESENT.holders, { index: 4, role: "device", verifying_share: "e" }] },
});

describe("a renewal waits for this browser", () => {
  test("when it has a place for a new device, and this browser has no share", () => {
    expect(waitsFor(fresh, PRESENT, adds)).toBe(true);
    expect(waitsFor(holder, PRESENT, adds), "its own, or another window's").toBe(false);
  });

  test("when it has the place of this browser's share", () => {
    const present = takesPart.present as GroupPublic;
    expect(waitsFor(holder, present, takesPart)).toBe(true);
    expect(waitsFor({ owner: OWNER, has: 4 }, present, takesPart), "which has begun it").toBe(false);
    expect(waitsFor(fresh, present, takesPart), "of which there is none here").toBe(false);
  });

  test.each<[string, OfferView]>([
    ["a keygen", { ...adds, kind: "keygen" }],
    ["one that goes on", { ...adds, status: "running" }],
    ["one that has ended", { ...adds, status: "cancelled" }],
    ["one of another identity", { ...adds, present: { ...PRESENT, group: "bb" } }],
    ["one from another epoch", { ...adds, present: { ...PRESENT, epoch: 2 } }],
    ["one that names no group", { ...adds, present: null }],
    ["one in which the device has come", renewal([device(4, 4, true)])],
    ["one in which somebody else gets the share", renewal([device(4, 4, false, "0b")])],
    ["one of whose devices leaves", renewal([device(4, null, false)])],
    ["one that waits for a kit", renewal([{ ...device(4, 4, false), role: "recovery" }])],
  ])("but not %s", (_, view) => {
    expect(waitsFor(fresh, PRESENT, view)).toBe(false);
  });
});

describe("renewals are looked for", () => {
  const views: Record<string, OfferView> = {};
  const look = vi.fn(async (id: string) => {
    const view = views[id];
    if (!view) throw new ApiProblem(404, "not_found", "gone");
    return view;
  });
  const offers = new Offers({ list: async () => ["gone", "old", "new", "done"], look });

  test("from the newest on, and those that are over are not looked at again", async () => {
    views["old"] = { ...adds, operation_id: "old" };
    views["new"] = { ...renewal([device(2, 2, true)]), operation_id: "new" };
    views["done"] = { ...adds, operation_id: "done", status: "verified" };
    expect((await offers.find(fresh, PRESENT))?.operation_id).toBe("old");
    expect(look.mock.calls.flat()).toEqual(["done", "new", "old"]);
    look.mockClear();
    views["new"] = { ...adds, operation_id: "new" };
    expect((await offers.find(fresh, PRESENT))?.operation_id).toBe("new");
    expect(look.mock.calls.flat()).toEqual(["new"]);
    views["old"] = views["new"] = { ...adds, status: "running" };
    expect(await offers.find(fresh, PRESENT)).toBeNull();
    look.mockClear();
    expect(await offers.find(fresh, PRESENT)).toBeNull();
    expect(look).not.toHaveBeenCalled();
  });

  test("and what keeps the server from answering is no answer", async () => {
    const broken = new Offers({ list: async () => ["c1"], look: async () => Promise.reject(new ApiProblem(503, "unavailable", "")) });
    await expect(broken.find(fresh, PRESENT)).rejects.toMatchObject({ code: "unavailable" });
  });
});
