import { beforeEach, describe, expect, test, vi } from "vitest";
import { ApiProblem, NoAnswer } from "../api/problem";
import type { KeyView, PendingRequest, SignedEvent } from "../api/types";

const done: string[] = [];
let contributed: Error[] = [];
let sent: Error[] = [];
let status: "answered" | "waiting" = "answered";

vi.mock("../api/client", () => ({
  api: { POST: async (path: string) => path.split("/").at(-1) },
  call: async (answer: Promise<string>) => {
    done.push(`send ${await answer}`);
    const error = sent.shift();
    if (error) throw error;
  },
}));
vi.mock("../vault", () => ({
  vault: {
    approve: async ({ remember }: { remember: object | null }) => ({ id: remember ? "approve always" : "approve" }),
    deny: async () => ({ id: "deny" }),
  },
}));
vi.mock("./signing", () => ({
  unlocked: async () => undefined,
  withStatement: async (_: string, make: (seq: number) => Promise<SignedEvent>, send: (made: SignedEvent) => unknown) => {
    const made = await make(2);
    done.push(`sign ${made.id}`);
    return send(made);
  },
}));
vi.mock("./contributor", () => ({
  byHand: {
    give: async (group: string, request: PendingRequest) => {
      done.push(`contribute ${group} ${request.request}`);
      const error = contributed.shift();
      if (error) throw error;
      return status;
    },
  },
}));
vi.mock("./history.svelte", () => ({
  History: class {
    records = [];
    start = async () => undefined;
  },
}));
vi.mock("./resent", () => ({ resent: (send: () => unknown) => send() }));

const { Approval } = await import("./approval.svelte");

function waiting(...waits_for: PendingRequest["waits_for"]) {
  const request = { request: "r1", connection: "c1", method: "sign_event", kind: 1, waits_for } as PendingRequest;
  return new Approval({ group: "g1" } as KeyView, request, true);
}

/** Of a key that people share. */
function shared(...waits_for: PendingRequest["waits_for"]) {
  const request = { request: "r1", connection: "c1", method: "sign_event", kind: 1, waits_for } as PendingRequest;
  return new Approval({ group: "g1" } as KeyView, request, false, { people: 3, signers: 2, amongThem: true });
}

beforeEach(() => {
  done.length = 0;
  [contributed, sent, status] = [[], [], "answered"];
});

describe("an answer", () => {
  test("where the server signs is a statement alone", async () => {
    const approval = waiting("approval");
    await approval.give("once");
    expect(done).toEqual(["sign approve", "send approve"]);
    expect(approval.phase).toBe("given");
  });

  test("to what the rules allow is a contribution alone", async () => {
    const approval = waiting("device");
    await approval.give("once");
    expect(done).toEqual(["contribute g1 r1"]);
    expect(approval.phase).toBe("given");
  });

  test("to what the rules ask about is a statement, then a contribution", async () => {
    const approval = waiting("approval", "device");
    await approval.give("always");
    expect(done).toEqual(["sign approve always", "send approve", "contribute g1 r1"]);
    expect(approval.phase).toBe("given");
  });

  test("that denies contributes nothing", async () => {
    for (const approval of [waiting("device"), waiting("approval", "device")]) await approval.give("deny");
    expect(done).toEqual(["sign deny", "send deny", "sign deny", "send deny"]);
  });
});

describe("an answer that went wrong", () => {
  test("after its statement arrived goes on with the contribution, and signs nothing twice", async () => {
    const approval = waiting("approval", "device");
    contributed = [new ApiProblem(409, "request_refused", "no")];
    await approval.give("once");
    expect(approval.phase).toBe("open");
    expect([approval.asks, approval.needsDevice]).toEqual([false, true]);
    done.length = 0;
    await approval.give("once");
    expect(done).toEqual(["contribute g1 r1"]);
  });

  test("for want of an answer is sent again from where it stopped", async () => {
    const approval = waiting("approval", "device");
    contributed = [new NoAnswer()];
    await approval.give("once");
    expect(approval.phase).toBe("lost");
    done.length = 0;
    await approval.resend();
    expect(done).toEqual(["contribute g1 r1"]);
    expect(approval.phase).toBe("given");
  });

  test("before the contribution sends the same statement again, then contributes", async () => {
    const approval = waiting("approval", "device");
    sent = [new NoAnswer()];
    await approval.give("once");
    expect(approval.phase).toBe("lost");
    done.length = 0;
    await approval.resend();
    expect(done).toEqual(["send approve", "contribute g1 r1"]);
  });

  test("because the rules were changed asks for the statement the next time", async () => {
    const approval = waiting("device");
    contributed = [new ApiProblem(409, "approval_needed", "asks now")];
    await approval.give("once");
    expect([approval.phase, approval.asks]).toEqual(["open", true]);
    done.length = 0;
    await approval.give("once");
    expect(done).toEqual(["sign approve", "send approve", "contribute g1 r1"]);
  });

  test("because the request is settled is over", async () => {
    const approval = waiting("device");
    contributed = [new ApiProblem(404, "no_such_request", "gone")];
    await approval.give("once");
    expect(approval.phase).toBe("gone");
  });
});

describe("where people share the key", () => {
  test("the owner's word is given here, and the people contribute elsewhere", async () => {
    const approval = shared("approval", "device");
    await approval.give("once");
    expect(done).toEqual(["sign approve", "send approve"]);
    expect([approval.phase, approval.allowedHere, approval.asks, approval.needsDevice]).toEqual(["open", true, false, true]);
    approval.heard({ ...approval.request, waits_for: ["device"], signers: { needed: 2, given: [2] } });
    expect(approval.signers?.given).toEqual([2]);
    approval.settled();
    expect(approval.phase).toBe("gone");
  });

  test("nothing is contributed from here to what the rules allow", async () => {
    const approval = shared("device");
    await approval.give("once");
    expect(done).toEqual([]);
    expect(approval.phase).toBe("open");
  });

  test("the owner denies it for all", async () => {
    for (const approval of [shared("device"), shared("approval", "device")]) {
      await approval.give("deny");
      expect(approval.phase).toBe("given");
    }
    expect(done).toEqual(["sign deny", "send deny", "sign deny", "send deny"]);
  });

  test("the owner's word that got no answer is sent again, the same", async () => {
    const approval = shared("approval", "device");
    sent = [new NoAnswer()];
    await approval.give("always");
    expect(approval.phase).toBe("lost");
    await approval.resend();
    expect(done).toEqual(["sign approve always", "send approve", "send approve"]);
    expect([approval.phase, approval.allowedHere]).toEqual(["open", true]);
  });

  test("who is at it is heard while an answer is on its way, too", () => {
    const approval = shared("device");
    approval.phase = "sending";
    approval.heard({ ...approval.request, waits_for: ["approval", "device"], signers: { needed: 2, given: [3] } });
    expect([approval.asks, approval.signers?.given]).toEqual([false, [3]]);
  });
});

test("a contribution that others have to follow leaves the request open", async () => {
  status = "waiting";
  const approval = waiting("device");
  await approval.give("once");
  expect([approval.phase, approval.allowedHere]).toEqual(["open", true]);
});
