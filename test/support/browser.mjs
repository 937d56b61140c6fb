/**
 * Chromium as a person has it: an empty profile for each test, their screen, their colours. Nothing in it is
 * loosened: the pages run under their own policy.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { expect, vi } from "vitest";
import { findChromium } from "../../scripts/setup/chromium.mjs";
import { OUTPUT } from "./folders.mjs";

// A test of a page derives several keys from passwords, each of which is meant to take its time.
vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

/** Where {@link inspect} puts its pictures. */
export const SCREENSHOTS = join(OUTPUT, "screenshots");

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
/** The narrowest screen that the pages are made for. */
const NARROW = { width: 360, height: 740 };

const SIZES = { desktop: DESKTOP, phone: PHONE };
const SCHEMES = ["light", "dark"];

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Nothing here may reach another machine, whatever a page asks for.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/** @returns {Promise<import("playwright-core").Browser>} */
export function launchBrowser() {
  const executablePath = findChromium();
  if (!executablePath) throw new Error("No Chromium: install it, or set CHROMIUM to its path.");
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}

/**
 * An empty profile.
 * @param {import("playwright-core").Browser} browser
 * @param {import("playwright-core").BrowserContextOptions & {phone?: boolean}} [options]
 */
export async function newProfile(browser, { phone = false, ...options } = {}) {
  const screen = phone ? { viewport: PHONE, isMobile: true, hasTouch: true, deviceScaleFactor: 2 } : { viewport: DESKTOP };
  const context = await browser.newContext({ ...screen, reducedMotion: "reduce", locale: "en-GB", ...options });
  context.setDefaultTimeout(30_000);
  return context;
}

/**
 * Looks at a page as it stands, on a desktop and a phone, light and dark: takes its picture and has axe find what
 * would keep somebody out. On the narrowest screen nothing may need scrolling sideways.
 * @param {import("playwright-core").Page} page
 * @param {string} name of the pictures
 * @returns {Promise<string[]>} what is wrong, in words
 */
export async function inspect(page, name) {
  const found = [];
  const before = page.viewportSize();
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await settled(page);
      await takePicture(page, `${name}-${size}-${colorScheme}`);
      found.push(...(await violations(page)).map((it) => `${name}, ${size}, ${colorScheme}: ${it}`));
    }
  }
  await page.setViewportSize(NARROW);
  await settled(page);
  const wide = await widest(page);
  if (wide) found.push(`${name}: at ${NARROW.width} px something is ${wide.right} px wide: ${wide.what}`);
  await page.emulateMedia({ colorScheme: null });
  if (before) await page.setViewportSize(before);
  return found;
}

/** As {@link inspect}; fails when anything is wrong. */
export async function expectGoodFor(page, name) {
  expect(await inspect(page, name)).toEqual([]);
}

/** A picture of the whole page. @param {import("playwright-core").Page} page */
export async function takePicture(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true, animations: "disabled" });
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Rules that axe leaves off unless asked. */
const AXE_OPTIONS = { rules: { "target-size": { enabled: true } }, resultTypes: ["violations"] };

/**
 * What axe has against the page. Its code comes in over the debugger, which the page's policy does not concern.
 * @returns {Promise<string[]>}
 */
export async function violations(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const { violations: list } = await page.evaluate((options) => globalThis.axe.run(document, options), AXE_OPTIONS);
  return list.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${rule.help} (${node.target.join(" ")}: ${node.html.slice(0, 160)})`),
  );
}

/** Fonts are there, nothing loads, and the last change has been painted. */
export async function settled(page) {
  await page.evaluate(async () => {
    await document.fonts.ready;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  });
}

/** The element that reaches furthest beyond the right edge, if one does. */
function widest(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return null;
    const out = [...document.querySelectorAll("body *")]
      .map((element) => ({ element, right: Math.round(element.getBoundingClientRect().right) }))
      .filter(({ right }) => right > width)
      .sort((a, b) => b.right - a.right)[0];
    return { right: document.documentElement.scrollWidth, what: out?.element.outerHTML.slice(0, 160) ?? "?" };
  });
}
