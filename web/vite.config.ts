// The page is built into dist/web, which `huacaya serve` hands out as plain files.
import { defineConfig } from 'vite';

export default defineConfig({
  // Relative addresses: the page also works behind a proxy that serves it from a folder.
  base: './',
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    // Browsers that know light-dark(), so that each colour is written once.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: false,
    assetsInlineLimit: 0,
  },
  server: {
    // `npx vite web` beside a running `huacaya serve`: the page with hot reload, the server's API.
    proxy: { '/v1': 'http://127.0.0.1:8000' },
  },
});
