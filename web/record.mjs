// After a build: compress, and write down what it was built from, so that a test can tell a stale build.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const page = "../src/earmark/server/page";
const listed = (folder) =>
  readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? listed(path) : [path];
    });

const sources = ["index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.ts"]
  .concat(listed("public"), listed("src"))
  .sort();
const hash = createHash("sha256");
for (const path of sources) hash.update(path).update("\0").update(readFileSync(path)).update("\0");

// Compressed twins: the server sends them as they are (src/earmark/server/page.py).
for (const path of listed(page).filter((path) => /\.(js|css|html|svg)$/.test(path)))
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));

const files = Object.fromEntries(
  listed(page)
    .map((path) => path.slice(page.length + 1))
    .filter((path) => path !== "build.json" && !path.endsWith(".gz"))
    .map((path) => {
      const bytes = readFileSync(join(page, path));
      return [path, { bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length }];
    }),
);
const record = { sources: hash.digest("hex"), files };
writeFileSync(join(page, "build.json"), JSON.stringify(record, null, 1) + "\n");
