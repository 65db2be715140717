// A page in Debian's Chromium in front of the fake server. Every page is watched: a request to anywhere else, a console error or
// a breach of the Content-Security-Policy fails the test that caused it.
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import { FakeServer } from './fakeServer.ts';

const browserPath = process.env.HUACAYA_TEST_CHROMIUM ?? '/usr/bin/chromium';
// In CI it has to be there.
const hasBrowser = existsSync(browserPath) || process.env.CI !== undefined;

export const desktop = { width: 1280, height: 800 };
export const phone = { width: 360, height: 740 };

export interface PageOptions extends BrowserContextOptions {
  /** Console errors that the test provokes (a refused request is logged by the browser itself). */
  expectErrors?: RegExp;
  /** Another server than the scene's. */
  server?: FakeServer;
}

export interface Scene {
  server: FakeServer;
  open(options?: PageOptions): Promise<Page>;
}

/** Groups tests that need a browser; where there is none they are skipped, and their title says why. */
export function describePage(title: string, tests: (scene: Scene) => void): void {
  const name = hasBrowser ? title : `${title} (skipped: no Chromium at ${browserPath}; apt-get install chromium)`;
  describe.skipIf(!hasBrowser)(name, () => {
    const server = new FakeServer();
    let browser: Browser;
    const opened: { page: Page; wrong: string[] }[] = [];

    beforeAll(async () => {
      await server.start();
      browser = await chromium.launch({
        executablePath: browserPath,
        // No sandbox, because tests run as root in containers; the rest keeps the browser from calling home.
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-background-networking',
          '--disable-component-update',
          '--disable-sync',
        ],
      });
    });

    afterAll(async () => {
      await browser?.close();
      await server.stop();
    });

    afterEach(async () => {
      const wrong = opened.flatMap((o) => o.wrong);
      await Promise.all(opened.map((o) => o.page.context().close()));
      opened.length = 0;
      server.reset();
      expect(wrong).toEqual([]);
    });

    const open = async ({ expectErrors, server: other = server, ...options }: PageOptions = {}) => {
      const context = await browser.newContext({
        viewport: desktop,
        locale: 'en-GB',
        colorScheme: 'light',
        ...options,
      });
      const page = await context.newPage();
      page.setDefaultTimeout(10_000);
      const wrong: string[] = [];
      opened.push({ page, wrong });
      page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(other.url) && !url.startsWith('data:')) wrong.push(`request to ${url}`);
      });
      page.on('pageerror', (error) => wrong.push(`uncaught: ${error.message}`));
      page.on('console', (message) => {
        if (message.type() === 'error' && !expectErrors?.test(message.text())) wrong.push(`console: ${message.text()}`);
      });
      page.on('dialog', (dialog) => {
        wrong.push(`a script ran: ${dialog.message()}`);
        dialog.dismiss();
      });
      await page.goto(other.url);
      return page;
    };

    tests({ server, open });
  });
}

/** Reads until the matcher holds; long enough for a machine that is busy with other things. */
export const eventually = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 10_000, interval: 30 });

/** Writes the instruction and sends it. */
export async function ask(page: Page, instruction: string): Promise<void> {
  await page.getByLabel('Instruction').fill(instruction);
  await page.getByRole('button', { name: 'Send' }).click();
}

/** Turns the comparison off, where one answer is easier to speak about. */
export async function single(page: Page): Promise<void> {
  await page.getByLabel('Side by side with').selectOption({ label: 'nothing' });
}
