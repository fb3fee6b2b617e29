// The build of the page: everything in one folder of the Python package, nothing inline.
import { defineConfig, type Plugin } from "vite";

/**
 * wavesurfer.js writes a <style> element into its shadow root, which a content policy without
 * 'unsafe-inline' refuses.  Here the element becomes an inert <template>; `ui/wave.ts` adopts its
 * text as a constructed style sheet, which the policy allows.
 */
function styleSheetsAllowed(): Plugin {
  return {
    name: "style-sheets-allowed",
    enforce: "pre",
    transform(code, id) {
      if (!/wavesurfer\.js\/dist\/wavesurfer\.esm\.js/.test(id)) return null;
      const opened = code.replace(/<style\$\{\w+\?` nonce="\$\{\w+\}"`:""\}>/, '<template class="css">');
      const closed = opened.replace("</style>", "</template>");
      if (opened === code || closed === opened)
        throw new Error("wavesurfer.js no longer writes the style element that this build turns");
      return { code: closed, map: null };
    },
  };
}

export default defineConfig({
  plugins: [styleSheetsAllowed()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    outDir: "../src/earmark/server/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8080" } },
});
