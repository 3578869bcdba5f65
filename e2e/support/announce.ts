import { binary, engine } from "./environment.ts";

/** Says once what the tests run against, or why they do not. */
export default function announce(): void {
  if (engine) console.log(`${binary()} with ${engine}`);
  else console.log("skipped: there is no engine (SHELLPORT_TEST_DOCKER, SHELLPORT_TEST_PODMAN)");
}
