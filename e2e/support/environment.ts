import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The engine that sandboxes are made with; without one there is nothing to test. */
export const engine = process.env.SHELLPORT_TEST_DOCKER ?? process.env.SHELLPORT_TEST_PODMAN;

/** A registry beside the engine that holds an image which the engine has not pulled yet. */
export const registry = process.env.SHELLPORT_TEST_REGISTRY;

/** The server's program. */
export function binary(): string {
  const path = process.env.SHELLPORT_BIN ?? fileURLToPath(new URL("../../target/release/shellport", import.meta.url));
  if (!existsSync(path)) throw new Error(`there is no ${path}: build the server, or name it in SHELLPORT_BIN`);
  return path;
}

/** The images that the engine has. */
export const images = { sh: "shellport-test/busybox:1", bash: "shellport-test/debian:1" };

/** Another address of this machine, under which a test reaches the server through a network of its own. */
export const elsewhere = "127.0.0.2";
