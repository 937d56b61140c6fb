import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiProblem, NoAnswer } from "../api/problem";
import type { PendingRequest } from "../api/types";
import { VaultError, type ContributionMemory, type Vault } from "../vault/types";
import { type Contributed, Contributor, custodyOf, isAllowed, NoShareHere } from "./contribution";

const REQUEST = { request: "r1", connection: "c1", label: "App", method: "sign_event", waits_for: ["device"] } as PendingRequest;
const MEMORY = (seq: number): ContributionMemory => ({ connection: "c1", client: "app", seq });
const problem = (code: string, status = 409) => new ApiProblem(status, code, code);

/** What was done, in order. */
let steps: string[];
let share: string | null, present: string | null, remembered: ContributionMemory | null, offers: number;
/** Thrown by the next contributions that are sent, after they arrived. */
let lost: Error[];
let status: Contributed;
let contribute: ReturnType<typeof vi.fn<Vault["contribute"]>>;
let contributor: Contributor;

beforeEach(() => {
  vi.useFakeTimers();
  [steps, share, present, remembered, offers, lost, status] = [[], "sealed", "sealed", null, 0, [], "answered"];
  contribute = vi.fn(async ({ offer }) => {
    steps.push("judge");
    return { reply: { to: offer.contribution }, round: offer.round, memory: MEMORY(offers) };
  });
  contributor = new Contributor(
    {
      offer: async () => {
        steps.push("offer");
        return { evidence: {}, contribution: `offer ${(offers += 1)}`, round: offers * 10 };
      },
      contribute: async (_group, _request, { reply, round }) => {
        steps.push(`send ${(reply as { to: string }).to} in round ${round}`);
        const error = lost.shift();
        if (error) throw error;
        return status;
      },
      present: async () => ({ group: "g1", epoch: 1, threshold: 2, pubkey: "p", holders: [] }),
    },
    { contribute },
    {
      of: async () => share,
      fitting: async ({ epoch }) => (epoch === 1 ? present : null),
      memory: async () => remembered,
      remember: async (_group, memory) => {
        steps.push("remember");
        remembered = memory;
      },
    },
    async (name, work) => {
      steps.push(name);
      return work();
    },
  );
});
afterEach(() => void vi.useRealTimers());

async function give(): Promise<unknown> {
  const given = contributor.give("g1", REQUEST).catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return given;
}

describe("a contribution", () => {
  test("is judged over what was shown and remembered, and remembered before it is sent", async () => {
    remembered = MEMORY(7);
    expect(await give()).toBe("answered");
    expect(steps).toEqual(["passport.contribution g1 c1", "offer", "judge", "remember", "send offer 1 in round 10"]);
    expect(contribute).toHaveBeenCalledWith({
      shares: "sealed",
      request: REQUEST,
      offer: { evidence: {}, contribution: "offer 1", round: 10 },
      memory: MEMORY(7),
    });
  });

  test("is made to another offer when the first is gone, and not for ever", async () => {
    lost = [problem("offer_gone")];
    expect(await give()).toBe("answered");
    expect(steps.filter((it) => it.startsWith("send"))).toEqual(["send offer 1 in round 10", "send offer 2 in round 20"]);
    expect(contribute.mock.lastCall?.[0].memory).toEqual(MEMORY(1));

    lost = Array.from({ length: 9 }, () => problem("offer_gone"));
    expect(await give()).toMatchObject({ code: "offer_gone" });
    expect(offers).toBe(5);
  });

  test("is sent again as it is when no answer came", async () => {
    lost = [new NoAnswer()];
    expect(await give()).toBe("answered");
    expect(offers).toBe(1);
    expect(steps.filter((it) => it.startsWith("send"))).toEqual(["send offer 1 in round 10", "send offer 1 in round 10"]);
  });

  test("to what others have to contribute to as well says that they have to", async () => {
    status = "waiting";
    expect(await give()).toBe("waiting");
    expect(steps.at(-1)).toBe("send offer 1 in round 10");
  });

  test("is not sent while it is the turn of others, and what was seen is remembered", async () => {
    contribute.mockImplementationOnce(async ({ offer }) => ({ reply: null, round: offer.round, memory: MEMORY(1) }));
    expect(await give()).toBe("waiting");
    expect(steps.at(-1)).toBe("remember");
    expect(remembered).toEqual(MEMORY(1));
  });

  test("that the vault refuses is not sent, and nothing is remembered", async () => {
    contribute.mockRejectedValue(new VaultError("request_misled", "Another one was offered."));
    expect(await give()).toMatchObject({ code: "request_misled" });
    expect(steps).not.toContain("remember");
    expect(steps.some((it) => it.startsWith("send"))).toBe(false);
  });

  test.each(["no_such_request", "approval_needed", "request_refused", "already_contributed", "enough_contributions"])("is not tried again after %s", async (code) => {
    lost = [problem(code)];
    expect(await give()).toMatchObject({ code });
    expect(offers).toBe(1);
  });

  test("is impossible without a share, and asks for no offer", async () => {
    share = present = null;
    expect(await give()).toBeInstanceOf(NoShareHere);
    expect(steps).toEqual([]);
  });

  test("is made with the share that took the place of this one, when the page was closed in between", async () => {
    present = "renewed";
    contribute.mockImplementationOnce(async () => Promise.reject(new VaultError("share_of_another_epoch", "Another epoch.")));
    expect(await give()).toBe("answered");
    expect(contribute.mock.calls.map(([{ shares }]) => shares)).toEqual(["sealed", "renewed"]);
    share = null;
    expect(await give()).toBe("answered");
    expect(contribute.mock.lastCall?.[0].shares).toBe("renewed");
  });

  test("is refused in words when the shares were renewed elsewhere", async () => {
    present = null;
    contribute.mockRejectedValue(new VaultError("share_of_another_epoch", "Another epoch."));
    const refused = await give();
    expect(refused).toBeInstanceOf(NoShareHere);
    expect((refused as Error).message).toMatch(/renew the shares here/);
  });
});

test("only what waits for this device alone is allowed by the rules", () => {
  const cases = [["device"], ["approval"], ["approval", "device"], []] as PendingRequest["waits_for"][];
  expect(cases.map((waits_for) => isAllowed({ waits_for }))).toEqual([true, false, false, false]);
});

test("custody is told by who holds the shares", () => {
  const held = (...roles: string[]) => ({ holders: roles.map((role, at) => ({ role, index: at + 1, verifying_share: "" })) });
  expect(custodyOf(held("bunker", "cosigner", "recovery"))).toBe("hosted");
  expect(custodyOf(held("bunker", "device", "recovery"))).toBe("device");
});
