// A little of everything that models read: how large keys and values get is looked up with it.

export const sampleText = [
  'The old harbour was quiet when Maria came back with 3 boxes of books and a letter. "What is in here?" she asked.',
  'const total = items.map((x) => x.price * 1.19).reduce((a, b) => a + b, 0);',
  '今天天气很好，我们一起去公园散步吧。',
  '1. Whisk the eggs. 2. Add 250 g of flour.',
].join('\n');
