// Makes dist: the client as modules with types, the snippet and the widget as one small script each.
//
// `node build.js --scripts` makes the two scripts alone. Each output begins with the digest of the sources it is made of, so that a test without npm can see that it is theirs.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const SCRIPTS = ["snippet", "widget"];
const digest = (...names) => {
  const hash = createHash("sha256");
  for (const name of names) hash.update(readFileSync(at(`src/${name}.ts`)));
  return hash.digest("hex").slice(0, 16);
};

for (const name of SCRIPTS) {
  buildSync({
    entryPoints: [at(`src/${name}.ts`)],
    outfile: at(`dist/${name}.js`),
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2020",
    banner: { js: `/* forecourt ${digest(name)} */` },
  });
}

if (process.argv.includes("--scripts")) process.exit(0);

const { default: ts } = await import("typescript");
const modules = readdirSync(at("src"))
  .map((file) => file.replace(/\.ts$/, ""))
  .filter((name) => !SCRIPTS.includes(name) && name !== "types");
const { config } = ts.readConfigFile(at("tsconfig.json"), ts.sys.readFile);
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, at("."));
const program = ts.createProgram(modules.map((name) => at(`src/${name}.ts`)), options);
const problems = ts.getPreEmitDiagnostics(program);
if (problems.length) {
  console.error(ts.formatDiagnostics(problems, { getCanonicalFileName: (f) => f, getCurrentDirectory: () => at("."), getNewLine: () => "\n" }));
  process.exit(1);
}
program.emit(undefined, (path, text) => {
  const [, name, kind] = path.match(/([^/]+?)\.(d\.ts|js)$/);
  if (name === "types") return; // dist/types.d.ts is made by sdk/generate.py
  writeFileSync(path, `/* forecourt ${digest(name)} */\n${text}`);
});
