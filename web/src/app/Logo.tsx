// The head of a huacaya: ears, fleece, face. The same drawing as public/icon.svg, in the page's colours.

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path class="ear" d={ears} />
      <path class="fleece" d={fleece} />
      <path class="face" d={face} />
      <path class="ink" d={eyesAndNose} />
    </svg>
  );
}

const ears =
  'M8.9 10.2C5.8 8.3 4.3 5 5.2 1.8 8.6 2.5 11 5 11.6 8.3ZM23.1 10.2C26.2 8.3 27.7 5 26.8 1.8 23.4 2.5 21 5 20.4 8.3Z';
const fleece =
  'M16 2.2a4.2 4.2 0 0 1 3.9 2.5 3.9 3.9 0 0 1 4.3 5 3.9 3.9 0 0 1 1 6.3 4 4 0 0 1-1 5.3 3.9 3.9 0 0 1 .6 4.9A4 4 0 0 1 24 30.5H8a4 4 0 0 1-.8-4.3 3.9 3.9 0 0 1 .6-4.9 4 4 0 0 1-1-5.3 3.9 3.9 0 0 1 1-6.3 3.9 3.9 0 0 1 4.3-5A4.2 4.2 0 0 1 16 2.2Z';
const face =
  'M16 10.4c4 0 6.2 2.4 6.2 5.6 0 2-.9 3-1.3 4.5-.7 2.6-2.3 4.5-4.9 4.5s-4.2-1.9-4.9-4.5c-.4-1.5-1.3-2.5-1.3-4.5 0-3.2 2.2-5.6 6.2-5.6Z';
const eyesAndNose =
  'M12.7 14.3a1.2 1.2 0 1 1 0 2.4 1.2 1.2 0 0 1 0-2.4ZM19.3 14.3a1.2 1.2 0 1 1 0 2.4 1.2 1.2 0 0 1 0-2.4ZM14.2 19.4h3.6a.5.5 0 0 1 .4.8l-1.6 1.7v.9h-1.2v-.9l-1.6-1.7a.5.5 0 0 1 .4-.8Z';
