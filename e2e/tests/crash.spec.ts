import { expect, test } from "../support/test.ts";

// So tall that every line can be read at once.
test.use({ viewport: { width: 1000, height: 4400 } });

test("a server that is killed and started again loses neither the command nor a line", async ({
  terminal,
  server,
  complaints,
}) => {
  complaints.expect(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to/);
  const { page } = terminal;
  await terminal.enter("for i in $(seq 1 200); do echo line $i; sleep 0.05; done; echo shell=$$");
  await terminal.shows("line 20");
  await server.kill();
  await expect(page.getByText(/^Reconnecting/).last()).toBeVisible();
  await page.keyboard.type("echo typed-$((2*3))\n");
  await server.launch();
  await terminal.connected();
  await terminal.shows("line 200");
  await terminal.shows("typed-6");
  const lines = (await terminal.rows()).filter((row) => row.startsWith("line "));
  expect(lines).toEqual(Array.from({ length: 200 }, (_, index) => `line ${index + 1}`));

  await terminal.enter("echo shell=$$");
  await expect
    .poll(async () => (await terminal.rows()).filter((row) => row.startsWith("shell=")))
    .toEqual([expect.stringMatching(/^shell=\d+$/), expect.stringMatching(/^shell=\d+$/)]);
  const shells = (await terminal.rows()).filter((row) => row.startsWith("shell="));
  expect(new Set(shells).size).toBe(1);
});
