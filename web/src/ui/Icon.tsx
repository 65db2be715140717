// Line icons, 20 by 20, drawn with the text's colour. They carry no meaning alone: each stands beside or inside a label.

const paths = {
  send: 'M3.5 10h12M10.5 5l5 5-5 5',
  stop: 'M6 6h8v8H6z',
  copy: 'M7 7h9v9H7zM4 13V4h9',
  check: 'M4 10.5l4 4 8-9',
  again: 'M16 5v4h-4M15.6 9A6 6 0 1 0 16 12.5',
  swap: 'M4 7h11l-3-3M16 13H5l3 3',
  sliders: 'M3 6h6M13 6h4M11 4v4M3 14h3M10 14h7M8 12v4',
  sun: 'M10 6.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM10 2v2M10 16v2M2 10h2M16 10h2M4.4 4.4l1.4 1.4M14.2 14.2l1.4 1.4M4.4 15.6l1.4-1.4M14.2 5.8l1.4-1.4',
  moon: 'M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5z',
  system: 'M10 3.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM10 3.5v13',
  close: 'M5 5l10 10M15 5L5 15',
  code: 'M7 6l-4 4 4 4M13 6l4 4-4 4',
  plus: 'M10 4v12M4 10h12',
  warning: 'M10 3.5l7 12.5H3zM10 8v4M10 14v.1',
};

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
