/** The HTTP side as a plain client sees it, and what every answer of it has to look like. */
import { request } from "node:http";
import { expect } from "vitest";

/** On every answer, whatever it says. */
const HEADERS = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
};

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {Headers} headers
 * @property {string} text
 * @property {any} body the text as JSON, if it is
 */

/**
 * Asks a server; what comes back has been checked for the headers that every answer has.
 * @param {{url: string}} server
 * @param {string} method
 * @param {string} path
 * @param {{token?: string, json?: unknown, body?: BodyInit, headers?: Record<string, string>}} [options]
 *   `json` is sent as such; `body` as it is
 * @returns {Promise<Answer>}
 */
export async function ask(server, method, path, { token, json, body, headers = {} } = {}) {
  const all = { ...headers };
  if (token !== undefined) all.authorization = `Bearer ${token}`;
  if (json !== undefined) all["content-type"] = "application/json";
  const sent = json === undefined ? body : JSON.stringify(json);
  const stream = sent instanceof ReadableStream ? { duplex: "half" } : {};
  const response = await fetch(server.url + path, { method, headers: all, body: sent, redirect: "manual", ...stream });
  const text = await response.text();
  const answer = { status: response.status, headers: response.headers, text, body: parsed(text) };
  expectInert(answer);
  return answer;
}

/**
 * Asks by a path that is sent exactly as it stands here; `fetch` would tidy it up.
 * @returns {Promise<Answer>}
 */
export function askVerbatim(server, method, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    const sent = request({ hostname, port, method, path, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part));
      response.on("end", () => {
        resolve({ status: response.statusCode, headers: new Headers(flat(response.headers)), text, body: parsed(text) });
      });
    });
    // An address that opens a socket would be as bad as one that answers.
    sent.on("upgrade", (_, socket) => socket.destroy(resolve({ status: 101, headers: new Headers(), text: "" })));
    sent.on("error", reject).end();
  });
}

/** An answer that was refused in the one form that refusals have. @param {Answer} answer */
export function expectProblem(answer, status, code) {
  expect([answer.status, answer.body?.code], answer.text).toEqual([status, code]);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.body).toEqual({
    type: `urn:passport:problem:${code}`,
    title: expect.stringMatching(/./),
    status,
    detail: expect.stringMatching(/^\S.{9,}/),
    code,
    request_id: answer.headers.get("x-request-id"),
  });
  expectInert(answer);
}

/** A problem without what differs from request to request. @param {Answer} answer */
export function comparable({ status, headers, body }) {
  const { request_id: _, ...rest } = body;
  const names = [...headers.keys()].filter((name) => !["date", "content-length"].includes(name));
  return { status, names, rest };
}

/** The lines that the Worker itself logged; wrangler's beside them show addresses, as a developer wants it. */
export const workerLog = (server) => server.log().split("\n").filter((line) => line.startsWith("{")).join("\n");

/** Nothing in it runs, frames, is sniffed or cached unasked, and no other origin may read it. */
function expectInert({ headers }) {
  expect(Object.fromEntries(Object.keys(HEADERS).map((name) => [name, headers.get(name)]))).toEqual(HEADERS);
  const csp = headers.get("content-security-policy");
  for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) expect(csp).toContain(rule);
  expect(headers.get("cache-control")).toMatch(/^(no-store|public, max-age=300)$/);
  expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
  expect(headers.get("set-cookie")).toBeNull();
  if (headers.get("content-type")?.startsWith("application/nostr+json")) return; // for pages of any origin, as NIP-11 asks
  expect([...headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function flat(headers) {
  return Object.entries(headers).map(([name, value]) => [name, [value].flat().join(", ")]);
}
