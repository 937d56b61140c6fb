import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiProblem, NoAnswer } from "../api/problem";
import { resent } from "./resent";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Fails with each of these in turn, then succeeds. */
function failing(...errors: Error[]) {
  const send = vi.fn(async () => "done");
  for (const error of errors) send.mockRejectedValueOnce(error);
  return send;
}

test("what got no answer, or came too early, is sent again", async () => {
  const send = failing(new NoAnswer(), new ApiProblem(409, "ceremony_unfinished", ""));
  const sent = resent(send);
  await vi.runAllTimersAsync();
  expect(await sent).toBe("done");
  expect(send).toHaveBeenCalledTimes(3);
});

test("it is given up after the third time", async () => {
  const send = failing(new NoAnswer(), new NoAnswer(), new ApiProblem(503, "unavailable", ""));
  const sent = expect(resent(send)).rejects.toMatchObject({ code: "unavailable" });
  await vi.runAllTimersAsync();
  await sent;
  expect(send).toHaveBeenCalledTimes(3);
});

test("a refusal is an answer: it is not sent again", async () => {
  const send = failing(new ApiProblem(422, "label_invalid", ""));
  await expect(resent(send)).rejects.toMatchObject({ code: "label_invalid" });
  expect(send).toHaveBeenCalledTimes(1);
});
