/** Where tests write. Emptied at the start of a run, kept after it to look at. */
import { inRoot } from "../../scripts/setup/paths.mjs";

export const OUTPUT = inRoot("test-output");

/** A server's storage with the migrations applied; each server begins with a copy. */
export const TEMPLATE_STATE = inRoot("test-output", "template-state");
