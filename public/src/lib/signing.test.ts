import { beforeEach, describe, expect, test, vi } from "vitest";
import { ApiProblem, Cancelled, NoAnswer } from "../api/problem";

const mocks = vi.hoisted(() => ({ sequence: 7, open: true, ask: vi.fn() }));

vi.mock("../api/client", () => ({
  api: { GET: async () => ({ data: { sequence: mocks.sequence } }) },
  call: async (answer: Promise<{ data: unknown }>) => (await answer).data,
}));
vi.mock("../stores/prompts.svelte", () => ({ prompts: { ask: mocks.ask } }));
vi.mock("../vault", async () => ({
  VaultError: (await import("../vault/types")).VaultError,
  vault: { isUnlocked: async () => (mocks.open ? "owner" : null) },
}));

const { unlocked, withReauth, withStatement, withVault } = await import("./signing");
const { VaultError } = await import("../vault");

const notNewer = () => new ApiProblem(409, "statement_not_newer", "Not newer.");

beforeEach(() => {
  mocks.sequence = 7;
  mocks.open = true;
  mocks.ask.mockReset().mockImplementation(async () => {
    mocks.open = true;
  });
});

describe("a statement", () => {
  test("gets the next number, and is sent once", async () => {
    const send = vi.fn(async (made: string) => `sent ${made}`);
    expect(await withStatement("group", async (seq) => `statement ${seq}`, send)).toBe("sent statement 8");
    expect(send).toHaveBeenCalledTimes(1);
    expect(mocks.ask).not.toHaveBeenCalled();
  });

  test("that another one overtook is made anew with a fresh number", async () => {
    const made: number[] = [];
    const send = vi.fn(async () => {
      if (made.length > 1) return "done";
      mocks.sequence = 9;
      throw notNewer();
    });
    const make = async (seq: number) => made.push(seq);
    expect(await withStatement("group", make, send)).toBe("done");
    expect(made).toEqual([8, 10]);
  });

  test("is given up after it was overtaken four times", async () => {
    const send = vi.fn(async () => Promise.reject(notNewer()));
    await expect(withStatement("group", async () => 0, send)).rejects.toMatchObject({ code: "statement_not_newer" });
    expect(send).toHaveBeenCalledTimes(4);
  });

  test("whose answer was lost is sent again as it was, not signed anew", async () => {
    const make = vi.fn(async (seq: number) => seq);
    const send = vi.fn(async (made: number) => made);
    send.mockRejectedValueOnce(new NoAnswer()).mockRejectedValueOnce(new ApiProblem(503, "unavailable", ""));
    vi.useFakeTimers();
    const sent = withStatement("group", make, send);
    await vi.runAllTimersAsync();
    vi.useRealTimers();
    expect(await sent).toBe(8);
    expect(make).toHaveBeenCalledTimes(1);
    expect(send.mock.calls).toEqual([[8], [8], [8]]);
  });

  test("is not made while the owner key is locked and the person closes the dialog", async () => {
    mocks.open = false;
    mocks.ask.mockRejectedValue(new Cancelled());
    const make = vi.fn();
    await expect(withStatement("group", make, vi.fn())).rejects.toBeInstanceOf(Cancelled);
    expect(make).not.toHaveBeenCalled();
  });
});

describe("asking the person", () => {
  test("happens once for a locked vault, also when that is found out late", async () => {
    mocks.open = false;
    await unlocked();
    expect(mocks.ask.mock.calls).toEqual([["unlock"]]);
    const action = vi.fn(async () => "done");
    action.mockRejectedValueOnce(new VaultError("locked", "Locked."));
    expect(await withVault(action)).toBe("done");
    expect(mocks.ask).toHaveBeenCalledTimes(2);
  });

  test("happens when the server wants to know again who is there, and for nothing else", async () => {
    const action = vi.fn(async () => "done");
    action.mockRejectedValueOnce(new ApiProblem(403, "reauthentication_required", ""));
    expect(await withReauth(action)).toBe("done");
    expect(mocks.ask.mock.calls).toEqual([["reauthenticate"]]);
    const refused = async () => Promise.reject(new ApiProblem(403, "not_the_owner", ""));
    await expect(withReauth(refused)).rejects.toMatchObject({ code: "not_the_owner" });
    expect(mocks.ask).toHaveBeenCalledTimes(1);
  });
});
