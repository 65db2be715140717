// What the page decides without a browser: effective mode, options as they are sent, stop lines, event streams, links.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSampling, isGreedy, type SamplingOptions } from '../../src/infer/index.ts';
import { serverSentEvents } from '../../web/src/api/serverSentEvents.ts';
import { preferredLanguage } from '../../web/src/i18n/preferredLanguage.ts';
import { effectiveMode } from '../../web/src/try/effectiveMode.ts';
import { checkedSampling, presetOf, presets, ranges, type Sampling, wireOptions } from '../../web/src/try/sampling.ts';
import { formatStops, parseStops } from '../../web/src/try/stopLines.ts';
import { decodeEntities } from '../../web/src/ui/markdown/entities.ts';
import { safeLink } from '../../web/src/ui/markdown/safeLink.ts';

/** Settings as sliders give them, their ends more often than chance. */
const settings = fc
  .record({
    temperature: fc.oneof(fc.constant(0), fc.double({ min: 0.05, max: 2, noNaN: true })),
    topP: fc.oneof(fc.constant(1), fc.double({ min: 0.05, max: 1, noNaN: true })),
    topK: fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 200 })),
    minP: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
    repetitionPenalty: fc.double({ min: 1, max: 2, noNaN: true }),
    presencePenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    frequencyPenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    maxTokens: fc.integer({ min: 1, max: 2048 }),
    seed: fc.option(fc.integer({ min: 0, max: 2 ** 31 }), { nil: undefined }),
    stop: fc.array(fc.string({ minLength: 1 }), { maxLength: 16 }),
  })
  .map((s): Sampling => s);

/** As the server reads the options: what is left out has no effect. */
const asServed = (s: Sampling): SamplingOptions => {
  const wire = wireOptions(s, 7);
  return {
    temperature: wire.temperature,
    topP: wire.top_p ?? 1,
    topK: wire.top_k ?? 0,
    minP: wire.min_p ?? 0,
    repetitionPenalty: wire.repetition_penalty ?? 1,
    presencePenalty: wire.presence_penalty ?? 0,
    frequencyPenalty: wire.frequency_penalty ?? 0,
    logitBias: new Map(),
    seed: wire.seed ?? 0,
  };
};

describe('effective mode', () => {
  it('is what the server does with what is sent, and is never refused', () => {
    fc.assert(
      fc.property(settings, (s) => {
        const served = checkSampling(asServed(s));
        expect(isGreedy(served)).toBe(effectiveMode(s).kind === 'greedy');
      }),
    );
  });

  it('calls a setting idle exactly when moving it changes nothing that is sent', () => {
    const moved = { temperature: 1.3, topP: 0.4, topK: 17, minP: 0.2 } as const;
    fc.assert(
      fc.property(settings, fc.constantFrom('temperature', 'topP', 'topK', 'minP'), (s, knob) => {
        fc.pre(s[knob] !== moved[knob]);
        const { because, inactive } = effectiveMode(s);
        const same =
          JSON.stringify(wireOptions(s, 7)) === JSON.stringify(wireOptions({ ...s, [knob]: moved[knob] }, 7));
        if (inactive.has(knob)) expect(same).toBe(true);
        else if (because === undefined) expect(same).toBe(false);
      }),
    );
  });

  it('says which setting makes it greedy', () => {
    expect(effectiveMode(presets.greedy).because).toBe('temperature');
    expect(effectiveMode({ ...presets.balanced, topK: 1 }).because).toBe('topK');
    expect(effectiveMode({ ...presets.balanced, minP: 1 }).because).toBe('minP');
    expect(effectiveMode(presets.balanced)).toEqual({ kind: 'sampling', inactive: new Set() });
  });
});

describe('settings', () => {
  it('survive being stored', () => {
    fc.assert(
      fc.property(settings, (s) => {
        const json = JSON.stringify(s);
        expect(checkedSampling(JSON.parse(json), presets.balanced)).toEqual(JSON.parse(json));
      }),
    );
  });

  it('take nothing from storage that is out of range or of another kind', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(presets.greedy), 'seed'), fc.anything()), (junk) => {
        const s = checkedSampling(junk, presets.balanced)!;
        for (const [knob, { min, max }] of Object.entries(ranges)) {
          const n = s[knob as 'topP'];
          expect(n).toBeGreaterThanOrEqual(min);
          if (knob !== 'maxTokens') expect(n).toBeLessThanOrEqual(max);
        }
        expect(s.stop.every((text) => typeof text === 'string' && text !== '')).toBe(true);
        expect(s.seed === undefined || Number.isInteger(s.seed)).toBe(true);
      }),
    );
    expect(checkedSampling('no', presets.balanced)).toBeUndefined();
  });

  it('know which preset they are', () => {
    expect(presetOf({ ...presets.creative, maxTokens: 3 })).toBe('creative');
    expect(presetOf({ ...presets.creative, topK: 3 })).toBeUndefined();
  });

  it('write stop strings as lines and read them back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, unit: fc.constantFrom('a', '\\', 'n', '\n', ' ', '羊') })),
        (stops) => {
          expect(parseStops(formatStops(stops.slice(0, 16)))).toEqual(stops.slice(0, 16));
        },
      ),
    );
    expect(parseStops('###\n\n\\nUser:')).toEqual(['###', '\nUser:']);
  });
});

describe('event streams', () => {
  const read = async (parts: Uint8Array[]) => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const part of parts) controller.enqueue(part);
        controller.close();
      },
    });
    const events: string[] = [];
    for await (const data of serverSentEvents(body)) events.push(data);
    return events;
  };

  it('are the same wherever the network cuts them', async () => {
    const text =
      'data: {"a":"羊驼"}\n\n: a comment\n\ndata:two\r\ndata: lines\r\n\r\nevent: x\n\ndata: [DONE]\n\ndata: cut off';
    const bytes = new TextEncoder().encode(text);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 12 }), async (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const parts = places.slice(1).map((end, i) => bytes.slice(places[i], end));
        expect(await read(parts)).toEqual(['{"a":"羊驼"}', 'two\nlines', '[DONE]']);
      }),
    );
  });
});

describe('links of a model', () => {
  it.each([
    ['https://example.org/a?b=1&amp;c=2', 'https://example.org/a?b=1&c=2'],
    ['HTTP://example.org', 'http://example.org/'],
    ['mailto:a@b.c', 'mailto:a@b.c'],
  ])('%s opens', (href, opened) => expect(safeLink(href)).toBe(opened));

  it.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    'javascript&colon;alert(1)',
    'javascript&#58;alert(1)',
    '&#x6a;avascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'blob:https://example.org/x',
    'file:///etc/passwd',
    '//example.org',
    '/v1/huacaya/info',
    '#x',
    '',
  ])('%j does not', (href) => expect(safeLink(href)).toBeUndefined());
});

describe('texts', () => {
  it('decodes character references once', () => {
    expect(decodeEntities('&lt;b&gt; &amp;lt; &#65;&#x42; &unknown; &#0; &constructor;')).toBe(
      '<b> &lt; AB &unknown; \ufffd &constructor;',
    );
  });

  it("starts in the browser's first language that it speaks", () => {
    expect(preferredLanguage(['de-DE', 'zh-TW', 'en'])).toBe('zh-CN');
    expect(preferredLanguage(['en-GB', 'zh'])).toBe('en');
    expect(preferredLanguage(['zhx'])).toBe('en');
    expect(preferredLanguage([])).toBe('en');
  });
});
