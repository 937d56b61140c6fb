/**
 * A plain relay for the comparison: NIP-01 on one socket server, storing nothing.
 * It does not even check signatures, as a public relay would, so that its share
 * of the time is as small as it can be. Prints its URL.
 */
import { matchFilters } from "nostr-tools";
import { WebSocketServer } from "ws";

process.stdin.resume().on("close", () => process.exit()); // when the benchmark ends, however it ends

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("listening", () => console.log(`ws://127.0.0.1:${server.address().port}`));

/** Each socket's open subscriptions: id to filters. @type {Map<import("ws").WebSocket, Map<string, object[]>>} */
const subscriptions = new Map();

server.on("connection", (socket) => {
  socket._socket.setNoDelay(true);
  subscriptions.set(socket, new Map());
  socket.on("close", () => subscriptions.delete(socket));
  socket.on("message", (data) => {
    const [type, ...rest] = JSON.parse(data.toString());
    const send = (message) => socket.send(JSON.stringify(message));
    if (type === "REQ") {
      const [id, ...filters] = rest;
      subscriptions.get(socket).set(id, filters);
      send(["EOSE", id]);
    } else if (type === "CLOSE") {
      subscriptions.get(socket).delete(rest[0]);
    } else if (type === "EVENT") {
      const [event] = rest;
      send(["OK", event.id, true, ""]);
      broadcast(event);
    }
  });
});

function broadcast(event) {
  for (const [socket, open] of subscriptions) {
    for (const [id, filters] of open) {
      if (matchFilters(filters, event)) socket.send(JSON.stringify(["EVENT", id, event]));
    }
  }
}
