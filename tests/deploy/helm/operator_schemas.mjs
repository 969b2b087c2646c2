// Reads objects as JSON lines and checks each against the Prometheus operator's
// schema of its kind. Prints what is wrong; the exit code is 1 then.
//
//   node operator_schemas.mjs FOLDER_WITH_NODE_MODULES < objects
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.argv[2]}/`);
const models = await import(pathToFileURL(
  require.resolve("@kubernetes-models/prometheus-operator/package.json")
    .replace("package.json", "monitoring.coreos.com/v1/index.js")));

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const object = JSON.parse(line);
  try {
    new models[object.kind](object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata.name}: ${error.message}`);
    process.exitCode = 1;
  }
}
