// Prints the storage layouts that the real compiler gives the contracts of layouts.sol:
// `contract variable slot offset`, one a line, transient ones marked; the hidden ones of the compiler have none.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");
const solc = createRequire(join(root, "package.json"))("solc");
const read = (path) => {
  const file = path.startsWith("@") ? join(root, "node_modules", path) : join(here, path);
  return { contents: readFileSync(file, "utf8") };
};
const input = {
  language: "Solidity",
  sources: { "layouts.sol": { content: read("layouts.sol").contents } },
  settings: { outputSelection: { "layouts.sol": { "*": ["storageLayout", "transientStorageLayout"] } } },
};
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
const errors = (output.errors ?? []).filter((error) => error.severity === "error");
if (errors.length > 0) {
  console.error(errors.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}
for (const [name, contract] of Object.entries(output.contracts["layouts.sol"])) {
  for (const [mark, layout] of [["", contract.storageLayout], ["t", contract.transientStorageLayout]]) {
    for (const { label, slot, offset, type } of layout.storage) {
      console.log(`${name} ${label} ${mark}${slot} ${offset} ${layout.types[type].numberOfBytes}`);
    }
  }
}
