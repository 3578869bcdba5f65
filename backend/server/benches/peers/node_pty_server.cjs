// A shell for each WebSocket, with node-pty and ws: bytes in both directions, and nothing else.
//
// usage: node_pty_server.cjs PORT

const pty = require("node-pty");
const { WebSocketServer } = require("ws");

const port = Number(process.argv[2]);
const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false });

server.on("connection", (socket) => {
  const terminal = pty.spawn("sh", [], { cols: 80, rows: 24, encoding: null });
  terminal.onData((bytes) => socket.send(bytes));
  terminal.onExit(() => socket.close());
  socket.on("message", (bytes) => terminal.write(bytes));
  socket.on("close", () => terminal.kill());
});
