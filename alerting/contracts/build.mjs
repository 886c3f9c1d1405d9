// Compiles the guardian and the contracts that tests and the demo run on, and writes one artifact for each.
//
//   node alerting/contracts/build.mjs           writes the artifacts
//   node alerting/contracts/build.mjs --check   exits 1 where a written artifact is not what the sources give
//
// The compiler comes from npm (`npm ci --ignore-scripts` at the root), so the result is the same everywhere.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const solc = createRequire(join(root, "package.json"))("solc");

const FIXTURES = "fixtures/contracts";
const GUARDIAN = "alerting/contracts/Guardian.sol";

const read = (path) => readFileSync(join(root, path), "utf8");
const fixtures = readdirSync(join(root, FIXTURES)).filter((name) => name.endsWith(".sol")).sort();
// A file of the range holds a protocol and its flawed twins; each that can be deployed becomes an artifact.
const RANGE = "models/range/contracts";
const protocols = readdirSync(join(root, RANGE)).filter((name) => name.endsWith(".sol")).sort();
const sources = [GUARDIAN, ...fixtures.map((name) => `${FIXTURES}/${name}`), ...protocols.map((name) => `${RANGE}/${name}`)];

const input = {
  language: "Solidity",
  sources: Object.fromEntries(sources.map((path) => [path, { content: read(path) }])),
  settings: {
    evmVersion: "prague",
    optimizer: { enabled: true, runs: 200 },
    // Neither a hash of the sources nor the compiler's version ends up in the code.
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};

const resolveImport = (path) => {
  const file = join("node_modules", path);
  return existsSync(join(root, file)) ? { contents: read(file) } : { error: `not found: ${file}` };
};

const output = JSON.parse(solc.compile(JSON.stringify(input), { import: resolveImport }));
const complaints = output.errors ?? [];
for (const complaint of complaints) console.error(complaint.formattedMessage);
if (complaints.length > 0) process.exit(1);

const check = process.argv.includes("--check");
let stale = 0;
const wanted = sources.flatMap((path) => {
  const ownName = basename(path, ".sol");
  if (!output.contracts[path]?.[ownName]) {
    console.error(`${path}: expected a contract named ${ownName}`);
    process.exit(1);
  }
  const deployable = Object.keys(output.contracts[path]).filter(
    (name) => output.contracts[path][name].evm.bytecode.object !== "",
  );
  return (path.startsWith(RANGE) ? deployable.sort() : [ownName]).map((name) => [path, name]);
});
for (const [path, contractName] of wanted) {
  const contract = output.contracts[path][contractName];
  const artifact = {
    contractName,
    compiler: solc.version(),
    sourceSha256: createHash("sha256").update(read(path)).digest("hex"),
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
    deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
  };
  const text = `${JSON.stringify(artifact, null, 2)}\n`;
  const file = path === GUARDIAN ? GUARDIAN.replace(/\.sol$/, ".json") : `${dirname(path)}/artifacts/${contractName}.json`;
  if (existsSync(join(root, file)) && read(file) === text) continue;
  if (check) {
    console.error(`${file}: not what ${path} compiles to; run \`node alerting/contracts/build.mjs\``);
    stale += 1;
  } else {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
    console.log(`wrote ${file}`);
  }
}
if (check) {
  for (const folder of [FIXTURES, RANGE]) {
    const expected = new Set(
      wanted.filter(([path]) => dirname(path) === folder).map(([, name]) => `${name}.json`),
    );
    for (const name of readdirSync(join(root, folder, "artifacts")).sort()) {
      if (expected.has(name)) continue;
      console.error(`${folder}/artifacts/${name}: no contract of that name`);
      stale += 1;
    }
  }
}
process.exit(stale === 0 ? 0 : 1);
