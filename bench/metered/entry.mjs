/** The built Worker as it is, with the size of its WASM memory on each answer. Such memory never shrinks: it is the peak. */
import { instances } from "./instances.mjs";
import Passport, { Bunker, Cosigner } from "../../build/index.js";
import * as everything from "../../build/index.js";

export { Bunker, Cosigner };
/** Objects that later builds bring along. */
export const Guard = everything.Guard;

export default {
  async fetch(request, env, context) {
    const answer = await new Passport(context, env).fetch(request);
    if (answer.status === 101) return answer;
    const metered = new Response(answer.body, answer);
    const pages = instances.map(({ exports }) => exports.memory.buffer.byteLength);
    metered.headers.set("x-wasm-memory-bytes", String(pages.reduce((sum, bytes) => sum + bytes, 0)));
    return metered;
  },
};
