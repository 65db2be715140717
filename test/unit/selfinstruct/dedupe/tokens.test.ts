import { describe, expect, it } from 'vitest';
import { rougeTokens, unicodeTokens } from '../../../../src/selfinstruct/dedupe/index.ts';
import { rouge } from './rougeFigures.ts';

describe("rouge_score's tokeniser", () => {
  it.each(rouge.tokens)('%j', (text, tokens) => {
    expect(rougeTokens(text)).toEqual(tokens);
  });

  it('lets through the same characters outside ASCII, and no other', () => {
    const found: [number, string[]][] = [];
    for (let block = 128; block < 0x110000; block += 128) {
      const codes = Array.from({ length: 128 }, (_, i) => block + i).filter((c) => c < 0xd800 || c > 0xdfff);
      if (rougeTokens(String.fromCodePoint(...codes)).length === 0) continue;
      for (const code of codes) {
        const tokens = rougeTokens(String.fromCodePoint(code));
        if (tokens.length > 0) found.push([code, tokens]);
      }
    }
    expect(found).toEqual(rouge.oddCharacters);
  });
});

describe('the tokeniser for every language', () => {
  it.each([
    ['写一首关于AI的诗。', ['写', '一', '首', '关', '于', 'ai', '的', '诗']],
    ['東京タワーは333メートル', ['東', '京', 'タ', 'ワ', 'ー', 'は', '333', 'メ', 'ー', 'ト', 'ル']],
    ['Écris un poème, s’il te plaît!', ['écris', 'un', 'poème', 's', 'il', 'te', 'plaît']],
    ['e\u0301tude = étude', ['étude', 'étude']],
    ['ＦＵＬＬ width ﬁne', ['full', 'width', 'fine']],
    ['Напиши стих 한국어 문장', ['напиши', 'стих', '한국어', '문장']],
    ['हिन्दी में लिखो', ['हिन्दी', 'में', 'लिखो']],
    ['ที่นี่', ['ที่', 'นี่']],
    ['𠮷野家', ['𠮷', '野', '家']],
    ['?! 😀', []],
  ])('%s', (text, tokens) => {
    expect(unicodeTokens(text)).toEqual(tokens);
  });

  it('agrees with the other on plain English', () => {
    for (const [text] of rouge.run) expect(unicodeTokens(text)).toEqual(rougeTokens(text));
  });
});
