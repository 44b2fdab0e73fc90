// What both scripts share: their arguments, the bundle's files, and how they end.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** The arguments that `usage` names, then that of `option`; the process ends with 2 where they do not fit. */
export function given(usage, count, option, otherwise) {
  try {
    const options = { [option]: { type: "string", default: otherwise } };
    const { positionals, values } = parseArgs({ allowPositionals: true, options });
    if (positionals.length === count) return [...positionals, values[option]];
  } catch {
    // An option that is not known: what follows says which there are.
  }
  console.error(`usage: node ${usage}`);
  process.exit(2);
}

/** The name of a file in the bundle -> its bytes. */
export function reader(bundle) {
  if (!existsSync(join(bundle, "card.json"))) {
    throw new Error(`${bundle} is not a bundle: it has no card.json`);
  }
  return (name) => readFile(join(bundle, name));
}

/** Run `task`; a fault ends in one line and the exit code 1. */
export async function run(task) {
  try {
    await task();
  } catch ({ message }) {
    console.error(`error: ${message}`);
    process.exitCode = 1;
  }
}
