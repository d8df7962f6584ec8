// Opens a report in Chromium, wide and narrow, light and dark; fails on a console error, a request, a page that scrolls
// sideways, or an accessibility rule that is broken (WCAG 2.2 AA, by axe).
//
//   node check.mjs REPORT.html [FOLDER for screenshots]

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [page, folder = "screenshots"] = process.argv.slice(2).map((p) => resolve(p));
if (!page) {
  console.error("usage: node check.mjs REPORT.html [FOLDER]");
  process.exit(2);
}
if (!existsSync(page)) {
  console.error(`${page}: no such file; \`make demo\` makes one`);
  process.exit(2);
}
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
const views = [
  { name: "light", width: 1280, colorScheme: "light", javaScriptEnabled: true },
  { name: "dark", width: 1280, colorScheme: "dark", javaScriptEnabled: true },
  { name: "phone", width: 390, colorScheme: "light", javaScriptEnabled: true },
  { name: "phone-dark", width: 390, colorScheme: "dark", javaScriptEnabled: true },
  { name: "no-script", width: 1280, colorScheme: "light", javaScriptEnabled: false },
];
const problems = [];
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath, args });
try {
  for (const { name, width, ...options } of views) {
    const context = await browser.newContext({ ...options, viewport: { width, height: 900 } });
    const tab = await context.newPage();
    tab.on("console", (message) => message.type() === "error" && problems.push(`${name}: console: ${message.text()}`));
    tab.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
    tab.on("request", (request) => {
      if (!request.url().startsWith("data:") && request.url() !== tab.url() && !request.isNavigationRequest()) {
        problems.push(`${name}: asks for ${request.url()}`);
      }
    });
    tab.on("dialog", (dialog) => { problems.push(`${name}: dialog: ${dialog.message()}`); dialog.dismiss(); });
    await tab.goto(pathToFileURL(page).href);
    const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) problems.push(`${name}: the page is ${wide} px too wide`);
    await tab.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
    if (options.javaScriptEnabled) await use(tab, name, options.colorScheme);
    if (name === "light") await tab.pdf({ path: `${folder}/print.pdf`, format: "A4" });
    await context.close();
  }
  for (const colorScheme of ["light", "dark"]) await audit(colorScheme);
} finally {
  await browser.close();
}
for (const problem of problems) console.error(problem);
console.log(problems.length ? `${problems.length} problem(s)` : `clean; screenshots in ${folder}`);
process.exit(problems.length ? 1 : 0);

/** Theme, sorting, axes: by keyboard, as a reader would. */
async function use(tab, name, colorScheme) {
  await tab.focus("#theme");
  await tab.keyboard.press("Enter");
  const theme = await tab.evaluate(() => document.documentElement.dataset.theme);
  if (theme === colorScheme) problems.push(`${name}: the theme does not change`);
  const head = tab.locator("#leaderboard thead button").nth(2);
  await head.focus();
  await tab.keyboard.press("Enter");
  const values = await tab.locator("#leaderboard tbody tr").evaluateAll((rows) => rows.map((r) => r.cells[2].dataset.sort));
  const known = values.filter((v) => v !== undefined).map(Number);
  if (known.some((v, i) => i > 0 && v > known[i - 1])) problems.push(`${name}: sorting does not sort`);
  for (const [axis, figure] of [["#y-axis", "memory"], ["#quality-axis", "perplexity"], ["#pace-axis", "speed"]]) {
    if (await tab.locator(axis).count()) await tab.selectOption(axis, figure);
  }
}

/** Everything unfolded, held against axe's rules; only here is the page's own policy set aside, so that axe can be put in. */
async function audit(colorScheme) {
  const context = await browser.newContext({ colorScheme, bypassCSP: true, viewport: { width: 1280, height: 900 } });
  const tab = await context.newPage();
  await tab.goto(pathToFileURL(page).href);
  await tab.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  await tab.addScriptTag({ content: readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8") });
  const { violations } = await tab.evaluate(() => axe.run());
  for (const v of violations) problems.push(`${colorScheme}: ${v.id}: ${v.help}: ${v.nodes[0].html.slice(0, 120)}`);
  await context.close();
}
