import { afterEach, expect, test, vi } from "vitest";
import { Cancelled } from "../api/problem";
import { makePasskey, PasskeyError, usePasskey } from "./passkeys";

const PRF = new Uint8Array(32).fill(0xa5);
const OPTIONS = {
  challenge: "AAAA",
  public_key: { challenge: "AAAA", extensions: { prf: { eval: { first: "_-8" } } } } as unknown as Record<string, never>,
};

class FakeCredential {
  static parseRequestOptionsFromJSON = vi.fn((json: object) => ({ ...json }));
  static parseCreationOptionsFromJSON = vi.fn((json: object) => ({ ...json }));
  getClientExtensionResults = () => ({ prf: { enabled: true, results: { first: PRF.buffer } } });
  toJSON = () => ({
    id: "id",
    rawId: "id",
    type: "public-key",
    response: { clientDataJSON: "c" },
    clientExtensionResults: { prf: { enabled: true, results: { first: "paWlpaWl" } } },
  });
}

function browser(answer: () => Promise<unknown>) {
  const credentials = { get: vi.fn(answer), create: vi.fn(answer) };
  vi.stubGlobal("PublicKeyCredential", FakeCredential);
  vi.stubGlobal("navigator", { credentials });
  return credentials;
}

afterEach(() => vi.unstubAllGlobals());

test("the PRF output stays in the page: it is not in what is sent", async () => {
  browser(async () => new FakeCredential());
  for (const { credential, prf } of [await usePasskey(OPTIONS), await makePasskey(OPTIONS)]) {
    expect(prf).toEqual(PRF);
    expect(JSON.stringify(credential)).not.toContain("paWl");
    expect(credential).toMatchObject({ rawId: "id", clientExtensionResults: {} });
  }
});

test("the browser is asked for the PRF with the server's input, as bytes", async () => {
  const { get } = browser(async () => new FakeCredential());
  await usePasskey(OPTIONS);
  const [{ publicKey }] = get.mock.calls[0] as unknown as [{ publicKey: { extensions: { prf: { eval: { first: Uint8Array } } } } }];
  expect([...publicKey.extensions.prf.eval.first]).toEqual([0xff, 0xef]);
  expect(FakeCredential.parseRequestOptionsFromJSON.mock.lastCall?.[0]).toEqual({ challenge: "AAAA", extensions: {} });
});

test("a closed request is told in words, an ended offer is nothing to tell", async () => {
  browser(async () => Promise.reject(new DOMException("", "NotAllowedError")));
  await expect(usePasskey(OPTIONS)).rejects.toBeInstanceOf(PasskeyError);
  browser(async () => Promise.reject(new DOMException("", "AbortError")));
  await expect(usePasskey(OPTIONS)).rejects.toBeInstanceOf(Cancelled);
});
