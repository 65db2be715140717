// What axe has to say about a page.
import axe from 'axe-core';
import type { Page } from 'playwright-core';

/**
 * Violations of axe's rules (WCAG 2.2 A and AA, best practices), one line each; in the dark only those of contrast, since
 * nothing else is different there. Run from outside the page's own scripts, so that the policy stays as it is.
 */
export async function violations(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source);
  const run = async (runOnly?: string[]) => {
    const found = await page.evaluate(
      (rules) => (window as unknown as { axe: typeof axe }).axe.run(document, rules ? { runOnly: rules } : {}),
      runOnly,
    );
    return found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 120)} ${n.failureSummary}`));
  };
  const light = await run();
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await run(['color-contrast']);
  await page.emulateMedia({ colorScheme: 'light' });
  return [...light, ...dark];
}
